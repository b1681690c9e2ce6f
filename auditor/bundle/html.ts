/** The report as one HTML page that loads nothing and runs nothing. Pure but for the digest of its style. */
import { createHash } from 'node:crypto';
import { recordOf } from '../certificate/certificate.ts';
import {
  cellText,
  detailsOf,
  headOf,
  REPORT_ROWS_MAX,
  VERDICT_WORDS,
  type Report,
} from './report.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d8dde3; --paper: #fff; --band: #f5f7f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5b1; --line: #363d45; --paper: #15181c; --band: #1d2126; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .6rem; }
.verdict { border-left: 6px solid; border-radius: 4px; padding: .9rem 1.1rem; margin: 1.25rem 0; overflow-wrap: anywhere; }
.verdict strong { display: block; font-size: 1.15rem; }
.intact { border-color: #1a7f37; background: #1a7f371f; }
.broken { border-color: #cf222e; background: #cf222e1f; }
.cannot_tell { border-color: #9a6700; background: #9a67001f; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 0; }
dt { color: var(--soft); max-width: 16rem; overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; margin: 0; } li { margin: .3rem 0; overflow-wrap: anywhere; }
.table { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .65rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { background: var(--band); white-space: nowrap; position: sticky; top: 0; }
td { overflow-wrap: anywhere; min-width: 4.5rem; } tr:last-child td { border-bottom: 0; }
td.n, td.time { white-space: nowrap; } td.number { text-align: right; } tr.bad td { background: #cf222e26; }
pre { background: var(--band); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .82rem; margin: 0 0 .6rem; }
.note { color: var(--soft); font-size: .88rem; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .5rem; } }
@media print { .table { overflow: visible; border: 0; } thead { display: table-header-group; } tr { break-inside: avoid; } }
`;
const STYLE_DIGEST = createHash('sha256').update(STYLE).digest('base64');

/** Writes the page. */
export function formatHtml(report: Report): string {
  const { title, certificate, rows, columns } = report;
  const { verdict, finding, proven, not_proven, findings, statement, asked, notes } = certificate;
  const bad = new Set(findings.flatMap((one) => one.rows));
  const list = (items: readonly string[]): string =>
    `<ul>\n${items.map((item) => `<li>${escape(item)}</li>`).join('\n')}\n</ul>`;
  const facts = (pairs: readonly (readonly [string, string])[]): string =>
    `<dl>\n${pairs.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join('\n')}\n</dl>`;
  const cells = rows.map(({ values }, at) => {
    const tds = columns.map(
      (column, index) =>
        `<td class="${column.kind}">${escape(cellText(values[index] ?? null, column, asked.timeZone))}</td>`,
    );
    return `<tr${bad.has(at + 1) ? ' class="bad"' : ''}><td class="n">${at + 1}</td>${tds.join('')}</tr>`;
  });
  const hidden = certificate.rows.count - rows.length;
  const section = (head: string, body: string): string =>
    `<section>\n<h2>${head}</h2>\n${body}\n</section>\n`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${STYLE_DIGEST}'; base-uri 'none'; form-action 'none'">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${facts(headOf(report))}
<div class="verdict ${verdict}"><strong>${VERDICT_WORDS[verdict]}</strong>${escape(finding)}</div>
${findings.length > 1 ? section('What was found', list(findings.map((one) => `${one.rows.length > 0 ? `Row ${one.rows.join(' or ')}: ` : ''}${one.message} (${[one.kind, recordOf(one)].filter(Boolean).join(', ')})`))) : ''}${section(
    'Answer',
    `${
      rows.length === 0
        ? '<p>No row.</p>'
        : `<div class="table" tabindex="0" role="region" aria-label="Answer"><table>
<thead><tr><th scope="col">Row</th>${columns.map((column) => `<th scope="col">${escape(column.title)}</th>`).join('')}</tr></thead>
<tbody>
${cells.join('\n')}
</tbody></table></div>`
    }
<p class="note">${hidden > 0 ? `The first ${REPORT_ROWS_MAX} rows; ${hidden} more stand in rows.csv. ` : ''}Times are those of ${escape(asked.timeZone)}, with their offset.</p>`,
  )}${section('What this proves', proven.length === 0 ? '<p>Nothing, until the finding above is cleared up.</p>' : list(proven))}${section('What this does not prove', list(not_proven))}${notes.length > 0 ? section('Worth knowing', list(notes)) : ''}${section(
    'How to check it yourself',
    list([
      'Open verify.html, which lies beside this report, in a browser and drop the whole folder or .zip on it: it computes everything again on your machine and sends nothing anywhere. Better still, take verify.html from an installation that you trust.',
      'Or: sealtrail check BUNDLE --trust keys.txt, with keys that you have got in another way than this bundle.',
      'Or run the statement below under your own login.',
    ]),
  )}${section('Statement', `<pre>${escape(statement.sql)}</pre>\n<pre>${escape(statement.values.map((value, at) => `$${at + 1} = ${JSON.stringify(value)}`).join('\n'))}</pre>`)}${section('Details', facts(detailsOf(report)))}</main>
</body>
</html>
`;
}

function escape(text: string): string {
  // Half a surrogate pair has no UTF-8, and direction marks could turn a line around.
  return text
    .toWellFormed()
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
    .replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
