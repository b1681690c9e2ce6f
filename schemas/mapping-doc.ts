/**
 * The tables of docs/mapping.md, made from the tables that the code is tested against. The prose
 * around them is written by hand; `npm run docs` renews what stands between the markers.
 */
import { MAPPING_TABLE, type MappingRow } from './mapping-table.ts';
import { OCSF_REQUIRED } from './ocsf-required.ts';

/** Where documents hold what a standard does not define. */
const ECS_OWN = 'sealtrail.';
const OCSF_OWN = 'unmapped.';

const TABLES: Readonly<Record<string, () => string>> = {
  fields: () =>
    table(
      ['ours', 'ECS', 'OCSF', 'note'],
      MAPPING_TABLE.map(({ ours, ecs, ocsf, note }) => [
        `\`${ours}\``,
        code(ecs),
        code(ocsf),
        note ?? '',
      ]),
    ),
  homeless: () =>
    table(
      ['ours', 'home in ECS', 'home in OCSF', 'what follows'],
      MAPPING_TABLE.filter(({ consequence }) => consequence !== undefined).map((row) => [
        `\`${row.ours}\``,
        verdict(row.ecs, ECS_OWN),
        verdict(row.ocsf, OCSF_OWN),
        row.consequence ?? '',
      ]),
    ),
  required: () =>
    table(
      ['OCSF requires', 'in our event', 'comes from'],
      OCSF_REQUIRED.map(({ attribute, added, from }) => [
        `\`${attribute}\``,
        added ? '**no: added**' : 'yes',
        from,
      ]),
    ),
};

/** Whether a standard has no place for it at all: what is carried lies in our namespace. */
export function isHomeless({ ecs, ocsf }: MappingRow): boolean {
  return (
    placesIn(ecs).every((place) => place.startsWith(ECS_OWN)) ||
    placesIn(ocsf).every((place) => place.startsWith(OCSF_OWN))
  );
}

/** The places of a row, as a list. */
export function placesIn(places: string): readonly string[] {
  return places.split(' ').filter((place) => place !== '');
}

/** Renews the tables of a Markdown text between `<!-- table: NAME -->` and `<!-- end -->`. */
export function fillTables(markdown: string): string {
  return markdown.replace(
    /(<!-- table: (\w+) -->\n)[^]*?(<!-- end -->)/g,
    (whole: string, open: string, name: string, close: string) => {
      const make = TABLES[name];
      return make === undefined ? whole : `${open}${make()}\n${close}`;
    },
  );
}

/** Whether a standard has a home for a field, and where else it lies. */
function verdict(places: string, namespace: string): string {
  if (places === '') return 'not sent';
  const own = placesIn(places).filter((place) => place.startsWith(namespace));
  if (own.length === 0) return 'yes';
  return `${own.length === placesIn(places).length ? 'none' : 'in part'}: ${code(own.join(' '))}`;
}

function code(places: string): string {
  return placesIn(places)
    .map((place) => `\`${place}\``)
    .join(', ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
