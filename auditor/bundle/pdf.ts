/**
 * The report as PDF, A4, in the DejaVu fonts, which are embedded: Latin, Greek, Cyrillic, Arabic and more. A letter that
 * they lack is written as its number, `[U+4E2D]`, rather than as an empty box. The same report gives the same bytes.
 */
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cellText, detailsOf, headOf, VERDICT_WORDS, type Report } from './report.ts';

const FONT_FOLDER = join(
  dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')),
  'ttf',
);
const FONTS = {
  text: 'DejaVuSansCondensed.ttf',
  bold: 'DejaVuSansCondensed-Bold.ttf',
  mono: 'DejaVuSansMono.ttf',
} as const;
const COLORS = { intact: '#1a7f37', broken: '#cf222e', cannot_tell: '#9a6700' } as const;
const [INK, SOFT, LINE, BAND] = ['#1b1f24', '#5b6570', '#d8dde3', '#f5f7f9'];
const MARGIN = 48;
const FOOT = 36;

type Doc = PDFKit.PDFDocument;
/** What of fontkit is used. */
interface Font {
  hasGlyphForCodePoint(point: number): boolean;
}

/** Writes it. */
export async function formatPdf(report: Report): Promise<Buffer> {
  const { default: PDFDocument } = await import('pdfkit');
  const at = new Date(report.time);
  const doc = new PDFDocument({
    size: 'A4',
    margins: { top: MARGIN, bottom: MARGIN + FOOT / 2, left: MARGIN, right: MARGIN },
    bufferPages: true,
    info: { Title: report.title, Creator: 'sealtrail', CreationDate: at, ModDate: at },
  });
  const chunks: Buffer[] = [];
  doc.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((settle, fail) => doc.on('end', settle).on('error', fail));
  for (const [name, file] of Object.entries(FONTS))
    doc.registerFont(name, await readFile(join(FONT_FOLDER, file)));
  draw(doc, report);
  numberPages(doc, report);
  doc.end();
  await ended;
  return Buffer.concat(chunks);
}

function draw(doc: Doc, report: Report): void {
  const { title, certificate } = report;
  const { verdict, finding, findings, proven, not_proven, notes, statement } = certificate;
  doc.font('bold').fontSize(17).fillColor(INK).text(shown(doc, title)).moveDown(0.6);
  facts(doc, headOf(report));
  banner(doc, COLORS[verdict], VERDICT_WORDS[verdict], finding);
  if (findings.length > 1)
    list(
      doc,
      'What was found',
      findings.map(
        ({ rows, message, kind, stream, seq }) =>
          `${rows.length > 0 ? `Row ${rows.join(' or ')}: ` : ''}${message} (${kind}, record ${stream} seq ${seq})`,
      ),
    );
  head(doc, 'Answer');
  table(doc, report);
  list(
    doc,
    'What this proves',
    proven.length > 0 ? proven : ['Nothing, until the finding above is cleared up.'],
  );
  list(doc, 'What this does not prove', not_proven);
  if (notes.length > 0) list(doc, 'Worth knowing', notes);
  head(doc, 'Statement');
  const values = statement.values.map((value, index) => `$${index + 1} = ${JSON.stringify(value)}`);
  doc.font('mono').fontSize(7.5).fillColor(INK);
  doc.text(shown(doc, `${statement.sql}\n\n${values.join('\n')}`), { lineGap: 1 });
  head(doc, 'Details');
  facts(doc, detailsOf(report));
}

function head(doc: Doc, text: string): void {
  if (doc.y > doc.page.height - 140) doc.addPage();
  doc.x = MARGIN;
  doc.moveDown(1.1).font('bold').fontSize(12).fillColor(INK).text(text).moveDown(0.35);
}

function facts(doc: Doc, pairs: readonly (readonly [string, string])[]): void {
  const left = 118;
  const width = doc.page.width - 2 * MARGIN;
  for (const [name, value] of pairs) {
    const said = shown(doc.font('text').fontSize(9), value);
    // A long name, as that of a stream, stands in a line of its own.
    const isLong = doc.widthOfString(name) > left - 8;
    const needed =
      doc.heightOfString(said, { width: width - (isLong ? 0 : left) }) + (isLong ? 12 : 0);
    if (doc.y + needed > bottomOf(doc)) doc.addPage();
    const { y } = doc;
    doc.fillColor(SOFT).text(shown(doc, name), MARGIN, y, { width: isLong ? width : left - 8 });
    if (isLong) doc.fillColor(INK).text(said, MARGIN, doc.y, { width });
    else doc.fillColor(INK).text(said, MARGIN + left, y, { width: width - left });
    doc.moveDown(0.15);
  }
  doc.x = MARGIN;
}

function banner(doc: Doc, color: string, word: string, finding: string): void {
  const width = doc.page.width - 2 * MARGIN;
  doc.moveDown(0.8);
  const said = shown(doc.font('text').fontSize(10), finding);
  const height = doc.heightOfString(said, { width: width - 28 }) + 38;
  const { y } = doc;
  doc.save().fillOpacity(0.1).rect(MARGIN, y, width, height).fill(color).restore();
  doc.rect(MARGIN, y, 5, height).fill(color);
  doc
    .font('bold')
    .fontSize(13)
    .fillColor(color)
    .text(word, MARGIN + 18, y + 10);
  doc
    .font('text')
    .fontSize(10)
    .fillColor(INK)
    .text(said, MARGIN + 18, doc.y + 2, { width: width - 28 });
  doc.x = MARGIN;
  doc.y = y + height;
}

function list(doc: Doc, title: string, items: readonly string[]): void {
  head(doc, title);
  const width = doc.page.width - 2 * MARGIN - 12;
  for (const item of items) {
    const said = shown(doc.font('text').fontSize(9.5), item);
    if (doc.y + doc.heightOfString(said, { width }) > bottomOf(doc)) doc.addPage();
    const { y } = doc;
    doc.fillColor(SOFT).text('•', MARGIN, y);
    doc
      .fillColor(INK)
      .text(said, MARGIN + 12, y, { width })
      .moveDown(0.25);
  }
  doc.x = MARGIN;
}

/** Rows in columns as wide as their contents ask for; the head is repeated on each page. */
function table(doc: Doc, { columns, rows, certificate }: Report): void {
  const { asked, findings } = certificate;
  const bad = new Set(findings.flatMap((one) => one.rows));
  if (rows.length === 0) doc.font('text').fontSize(9.5).fillColor(INK).text('No row.');
  const names = ['Row', ...columns.map(({ title }) => title)];
  const lines = rows.map(({ values }, at) => [
    String(at + 1),
    ...columns.map((column, index) => cellText(values[index] ?? null, column, asked.timeZone)),
  ]);
  if (lines.length === 0) return;
  const widths = widthsOf(doc, [names, ...lines.slice(0, 200)]);
  const heads = (): void => line(doc, names, widths, true, false);
  heads();
  for (const [at, cells] of lines.entries()) {
    doc.font('text').fontSize(7.5);
    if (doc.y + heightOf(doc, cells, widths) > bottomOf(doc)) {
      doc.addPage();
      heads();
    }
    line(doc, cells, widths, false, bad.has(at + 1));
  }
  doc.x = MARGIN;
  const hidden = certificate.rows.count - rows.length;
  const rest = hidden > 0 ? `${hidden} more rows stand in rows.csv. ` : '';
  doc.moveDown(0.5).font('text').fontSize(8).fillColor(SOFT);
  doc.text(`${rest}Times are those of ${asked.timeZone}, with their offset.`);
}

const PAD = 3;

function line(
  doc: Doc,
  cells: readonly string[],
  widths: readonly number[],
  isHead: boolean,
  isBad: boolean,
): void {
  doc.font(isHead ? 'bold' : 'text').fontSize(7.5);
  const height = heightOf(doc, cells, widths);
  const { y } = doc;
  const width = widths.reduce((sum, one) => sum + one, 0);
  if (isHead) doc.rect(MARGIN, y, width, height).fill(BAND);
  if (isBad)
    doc.save().fillOpacity(0.15).rect(MARGIN, y, width, height).fill(COLORS.broken).restore();
  let x = MARGIN;
  for (const [index, cell] of cells.entries()) {
    const own = widths[index] ?? 0;
    doc.fillColor(INK).text(shown(doc, cell), x + PAD, y + PAD, { width: own - 2 * PAD });
    x += own;
  }
  doc
    .moveTo(MARGIN, y + height)
    .lineTo(MARGIN + width, y + height)
    .lineWidth(0.5)
    .stroke(LINE);
  doc.y = y + height;
}

function heightOf(doc: Doc, cells: readonly string[], widths: readonly number[]): number {
  const heights = cells.map((cell, index) =>
    doc.heightOfString(shown(doc, cell), { width: (widths[index] ?? 0) - 2 * PAD }),
  );
  return Math.max(...heights) + 2 * PAD;
}

/** Each column as wide as it would like; what is too much for the page is taken from the widest. */
function widthsOf(doc: Doc, lines: readonly (readonly string[])[]): readonly number[] {
  doc.font('bold').fontSize(7.5);
  const widths = (lines[0] ?? []).map(
    (_, index) =>
      Math.max(...lines.map((cells) => doc.widthOfString(shown(doc, cells[index] ?? '')))) +
      2 * PAD +
      2,
  );
  const room = doc.page.width - 2 * MARGIN;
  for (let over = sum(widths) - room; over > 0.5; over = sum(widths) - room) {
    const widest = widths.indexOf(Math.max(...widths));
    const second = Math.max(...widths.filter((_, index) => index !== widest), 0);
    const least = Math.max(
      (widths[widest] ?? 0) - over,
      Math.min(second, (widths[widest] ?? 0) - 1),
    );
    widths[widest] = least;
  }
  return widths;
}

const sum = (widths: readonly number[]): number => widths.reduce((all, one) => all + one, 0);
const bottomOf = (doc: Doc): number => doc.page.height - MARGIN - FOOT / 2;

function numberPages(doc: Doc, { certificate_sha256 }: Report): void {
  const { start, count } = doc.bufferedPageRange();
  for (let page = start; page < start + count; page++) {
    doc.switchToPage(page);
    // Below the margin, where text would begin a page of its own.
    doc.page.margins.bottom = 0;
    const y = doc.page.height - FOOT;
    doc.font('text').fontSize(7).fillColor(SOFT);
    doc.text(`certificate ${certificate_sha256}`, MARGIN, y, { lineBreak: false });
    const said = `page ${page + 1} of ${count}`;
    doc.text(said, doc.page.width - MARGIN - doc.widthOfString(said), y, { lineBreak: false });
  }
}

/** The text as the font can show it. */
function shown(doc: Doc, text: string): string {
  const { font } = (doc as unknown as { readonly _font: { readonly font: Font } })._font;
  let said = '';
  for (const letter of text.toWellFormed()) {
    const point = letter.codePointAt(0) ?? 0;
    const isTurn = (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
    const isShown =
      letter === '\n' || (point >= 0x20 && !isTurn && font.hasGlyphForCodePoint(point));
    said += isShown ? letter : `[U+${point.toString(16).toUpperCase().padStart(4, '0')}]`;
  }
  return said;
}
