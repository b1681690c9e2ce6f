/** `sealtrail ask`: the questions of the catalogue, put to the store of record. */
import type { Command } from 'commander';
import type { AnswerRow, Asked, AskError } from '../auditor/answer.ts';
import {
  createAuditor,
  LIMIT_DEFAULT,
  statementOf,
  type Auditor,
  type AuditorOptions,
} from '../auditor/ask.ts';
import type { Certificate } from '../auditor/certificate/certificate.ts';
import { CATALOGUE, findQuestion } from '../auditor/catalogue.ts';
import type { Question } from '../auditor/questions/question.ts';
import { isTimeZone, resolveAsked } from '../auditor/resolve.ts';
import { createShownCheck, OTHER_ROWS } from '../auditor/shown-rows.ts';
import { readTime, type Edge } from '../auditor/times.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import {
  addExportOptions,
  CERTIFIED_CODES,
  certifyAsked,
  describeCertificate,
  EXPORT_EXAMPLES,
  type ExportFlags,
} from './ask-export.ts';
import { printPage, printStream, write, type Form } from './ask-output.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { STORE_HELP, STORE_OPTION, storeAddress } from './store-access.ts';

interface AskOptions extends ExportFlags {
  readonly store?: string;
  readonly dataDir: string;
  readonly tenant?: string;
  readonly since: string;
  readonly until: string;
  readonly timeZone: string;
  readonly limit: string;
  readonly cursor?: string;
  readonly all?: boolean;
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly sql?: boolean;
}

const EXIT_CODES = `Exit codes: 0 answered, also when nothing was found; 1 refused: of another tenant, or BROKEN: a record is not what was
sealed; 2 it could not be asked, or whether it is intact cannot be told.`;

const EXAMPLES = `
Examples:
  $ sealtrail ask                                           the questions
  $ sealtrail ask impersonations --help                     one question, its parameters and examples
  $ sealtrail ask impersonations --actor u_admin_alice --tenant acme --since last-month --until last-month --time-zone Europe/Berlin
  $ sealtrail ask denials-per-hour --threshold 5 --since 7d --json
  $ sealtrail ask all-activity --since 2026-10 --until 2026-10 --all --csv > october.csv${EXPORT_EXAMPLES}

Each answer comes with a certificate: whether the records behind it, and around it, are as they were sealed, what that proves and
what not. It is of the whole answer, whatever page is shown.

${EXIT_CODES}`;

/** Adds the command, with a command of its own for each question. */
export function addAskCommand(program: Command): void {
  const ask = program
    .command('ask')
    .description('ask the trail: who did what, when, to what, and whether they should have')
    .argument('[question]', 'one of those that it lists without')
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText('after', EXAMPLES)
    .action((id: string | undefined) => {
      if (id !== undefined) {
        const found = findQuestion(id);
        process.exitCode = found.ok ? 2 : fail(found.error);
        return;
      }
      const width = Math.max(...CATALOGUE.map((question) => question.id.length));
      for (const question of CATALOGUE)
        console.log(`${question.id.padEnd(width)}  ${question.title}`);
      console.log('\nsealtrail ask QUESTION --help says what each needs.');
    });
  for (const question of CATALOGUE) addQuestion(ask, question);
}

function addQuestion(ask: Command, question: Question): void {
  const command = ask.command(question.id).description(`${question.title} ${question.help}`);
  for (const { name, help, choices, default: preset, example } of question.parameters) {
    const among = choices === undefined ? '' : `: ${choices.join(', ')}`;
    const without =
      preset === undefined ? ', must be given' : preset === '' ? '' : `; default ${preset}`;
    command.option(`--${name} <${name}>`, `${help}${among}${without}; as ${example}`);
  }
  addExportOptions(command)
    .option('--tenant <id>', 'whose events (default: the one that the login sees)')
    .option('--since <time>', '2026-10, 2026-10-01, RFC 3339, 7d, yesterday, last-month, …', '30d')
    .option('--until <time>', 'the same; of a day or month its end', 'now')
    .option('--time-zone <name>', 'IANA name: what a day is, and how times are shown', 'UTC')
    .option('--limit <rows>', 'rows of a page', String(LIMIT_DEFAULT))
    .option('--cursor <text>', 'the next page, as the one before names it')
    .option('--all', 'all rows, as they come')
    .option('--json', 'print a page as JSON; with --all a line of JSON each row')
    .option('--csv', 'print CSV')
    .option('--sql', 'print the statement and its values instead of asking')
    .option(STORE_OPTION, STORE_HELP)
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .addHelpText('after', examplesOf(question))
    .action(async (options: AskOptions & Record<string, unknown>) => {
      process.exitCode = await runAsk(question, options);
    });
}

function examplesOf({ id, parameters }: Question): string {
  const needed = parameters
    .filter((one) => one.default === undefined)
    .map(({ name, example }) => ` --${name} ${example}`)
    .join('');
  const ask = `  $ sealtrail ask ${id}${needed}`;
  return `
Examples:
${ask}
${ask} --tenant acme --since last-month --until last-month --trust keys.txt
${ask} --since 2026-10 --until 2026-10 --export finding.zip

${EXIT_CODES}`;
}

async function runAsk(
  question: Question,
  options: AskOptions & Record<string, unknown>,
): Promise<number> {
  const store = { url: storeAddress(options.dataDir, 'auditor', options.store) };
  const auditor = createAuditor(store);
  try {
    const asked = await readAsked(auditor, question, options);
    if (!asked.ok) return fail(asked.error);
    const range = `${asked.value.since} to ${asked.value.until}`;
    console.error(
      `${question.title}  tenant ${asked.value.tenant}, ${range}, ${asked.value.timeZone}`,
    );
    if (options.sql === true) {
      const statement = statementOf(asked.value);
      if (!statement.ok) return fail(statement.error);
      console.log(`${statement.value.sql};`);
      for (const [index, value] of statement.value.values.entries())
        console.log(`-- $${index + 1} = ${JSON.stringify(value)}`);
      return 0;
    }
    return await answer(auditor, asked.value, store, options);
  } finally {
    auditor.close();
  }
}

async function answer(
  auditor: Auditor,
  asked: Asked,
  store: AuditorOptions,
  options: AskOptions,
): Promise<number> {
  const form: Form = options.json === true ? 'json' : options.csv === true ? 'csv' : 'table';
  const path = options.export;
  const certify = (
    onRow?: (row: AnswerRow) => void,
  ): Promise<Result<Certificate, AskError> | null> =>
    options.certify === false && path === undefined
      ? Promise.resolve(null)
      : certifyAsked(auditor, asked, store, options, onRow);
  let certified: Result<Certificate, AskError> | null;
  let isCertified = true;
  if (path !== undefined) {
    certified = await certify();
  } else if (options.all === true) {
    const stream = await auditor.stream(asked);
    if (!stream.ok) return fail(stream.error);
    const shown = await printStream(stream.value, asked, form);
    certified = await certify();
    isCertified = certified?.ok !== true || certified.value.rows.sha256 === shown;
  } else {
    const { cursor, limit } = options;
    const page = await auditor.ask(asked, {
      limit: Number(limit),
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (!page.ok) return fail(page.error);
    const { rows, before: previous, next } = page.value;
    const shown = createShownCheck({ rows, before: previous, isLast: next === null });
    // A program gets both at once; a person reads the rows meanwhile.
    const before = form === 'json' ? await certify(shown.take) : null;
    const beside = before?.ok === true ? before.value : null;
    await printPage(page.value, asked, form, beside, beside !== null && shown.isPart());
    certified = before ?? (await certify(shown.take));
    isCertified = certified?.ok !== true || shown.isPart();
  }
  if (certified === null) return 0;
  if (!certified.ok) return fail(certified.error);
  const said = describeCertificate(certified.value);
  if (form === 'table' || path !== undefined) await write(said);
  else if (form === 'csv' || options.all === true) console.error(said.trimEnd());
  if (path !== undefined) console.log(`written: ${path}`);
  if (!isCertified) console.error(`Cannot tell: ${OTHER_ROWS}.`);
  const { verdict } = certified.value;
  return CERTIFIED_CODES[verdict === 'intact' && !isCertified ? 'cannot_tell' : verdict];
}

/** The question with everything filled in, so that it can be asked again. */
async function readAsked(
  auditor: Auditor,
  question: Question,
  options: AskOptions & Record<string, unknown>,
): Promise<Result<Asked, AskError>> {
  const { timeZone } = options;
  if (!isTimeZone(timeZone))
    return invalid('time-zone', 'is no IANA time zone like Europe/Berlin or UTC');
  const nowMs = Date.now();
  const edges: Record<Edge, string> = { since: '', until: '' };
  for (const edge of ['since', 'until'] as const) {
    const time = readTime(options[edge], edge, timeZone, nowMs);
    if (!time.ok) return invalid(edge, time.error);
    edges[edge] = time.value;
  }
  const parameters = Object.fromEntries(
    question.parameters.flatMap(({ name }) => {
      const given = options[name];
      return typeof given === 'string' ? [[name, given]] : [];
    }),
  );
  // Before the store is asked for anything: what is wrong is said at once.
  const first = resolveAsked({
    ...{ question: question.id, tenant: options.tenant ?? 'any', timeZone, parameters },
    ...edges,
  });
  if (!first.ok) return first;
  const tenant = await tenantOf(auditor, options.tenant);
  if (!tenant.ok) return tenant;
  const { resolved } = first.value;
  return ok({
    ...{ question: question.id, tenant: tenant.value, timeZone, parameters: resolved.parameters },
    ...edges,
  });
}

async function tenantOf(
  auditor: Auditor,
  named: string | undefined,
): Promise<Result<string, AskError>> {
  if (named !== undefined) return ok(named);
  const tenants = await auditor.tenants();
  if (!tenants.ok) return tenants;
  const [only] = tenants.value;
  if (only === undefined)
    return err({
      kind: 'forbidden',
      message: 'this login sees no tenant; whoever runs the store grants it one',
    });
  if (tenants.value.length > 1)
    return invalid('tenant', `must name one of ${tenants.value.join(', ')}`);
  return ok(only);
}

function invalid(parameter: string, message: string): { ok: false; error: AskError } {
  return err({ kind: 'invalid', parameter, message: `--${parameter} ${message}` });
}

function fail({ kind, message }: AskError): number {
  console.error(`ask: ${message}`);
  return kind === 'forbidden' ? 1 : 2;
}
