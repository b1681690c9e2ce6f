/** Log lines for a person at a terminal: the JSON line that pino wrote, as one line of text. */

/** Invisible characters, line ends and terminal escapes among them: a log line must stay one line. */
const INVISIBLE = /\p{C}/gu;

/** `2026-03-01T09:00:00.000Z WARN  a torn tail was set aside  component=ledger byte=120` */
export function formatLine(line: string): string {
  const parsed: Readonly<Record<string, unknown>> = JSON.parse(line);
  const { level, time, name: _name, pid: _pid, msg, ...fields } = parsed;
  const shown = Object.entries(fields).map(([field, value]) => `${field}=${formatValue(value)}`);
  const text = [
    `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(msg)}`,
    ...shown,
  ];
  return `${text.join('  ').replace(INVISIBLE, '\ufffd')}\n`;
}

function formatValue(value: unknown): string {
  const text = String(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
