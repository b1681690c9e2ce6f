import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { load } from '../support/config.ts';
import { faultsOf, LEAST, loaded } from '../support/config.ts';

const SECRET_NAME = 'SECRET';
const REFERENCE = `\${env:${SECRET_NAME}}`;

/** Text that YAML, the reference syntax or a shell would read something into. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...[
          ': ',
          '\n',
          ' #',
          '{',
          '}',
          '[',
          ']',
          '"',
          "'",
          '&a',
          '*a',
          '!tag',
          '- ',
          '|',
          '>',
          '%',
        ],
        ...[
          '${env:OTHER}',
          '${file:/etc/passwd}',
          '$${',
          '$',
          '$&',
          '$1',
          '\\n',
          '\u0000',
          '\u2028',
        ],
        ...['null', 'true', '1e3', '0x10', '~', '<<', '---', 'tenants: []', '\ud83d\ude00'],
      ),
      fc.string({ unit: 'grapheme', maxLength: 8 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join(''))
  .filter((text) => text !== '');

const elasticsearch = (password: string): string => `
receivers: { socket: { tenants: ['*'] } }
exporters:
  elasticsearch:
    endpoints: ['https://siem.example']
    username: u
    password: ${password}
tenants: [{ id: acme }]
`;

async function passwordOf(text: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const [exporter] = (await loaded(text, { env })).exporters;
  return exporter?.type === 'elasticsearch' ? exporter.password : undefined;
}

describe('what a reference yields', () => {
  test('is text to the letter, never YAML, never a reference again', async () => {
    await fc.assert(
      fc.asyncProperty(
        hostileText,
        fc.constantFrom(REFERENCE, `"${REFERENCE}"`, `'${REFERENCE}'`, `|-\n      ${REFERENCE}`),
        async (secret, written) => {
          const env = { [SECRET_NAME]: secret, OTHER: 'other' };
          expect(await passwordOf(elasticsearch(written), env)).toBe(secret);
          expect(await passwordOf(elasticsearch(`'<${REFERENCE}>'`), env)).toBe(`<${secret}>`);
        },
      ),
      { numRuns: 120 },
    );
  });

  test('takes the type that its field asks for: a port of digits, a password of digits', async () => {
    const config = await loaded(
      {
        ...LEAST,
        exporters: {
          postgresql: { port: '${env:PORT:-5433}', embedded: '${env:EMBEDDED:-true}' },
          elasticsearch: {
            endpoints: ['https://siem.example'],
            username: '${env:DIGITS}',
            password: '${env:TRUE}',
            gzip: '${env:TRUE}',
            timeout_ms: '${env:DIGITS}',
          },
        },
      },
      { env: { DIGITS: '12345', TRUE: 'true', PORT: '' } },
    );
    expect(config.exporters).toMatchObject([
      { port: 5433, embedded: true },
      { username: '12345', password: 'true', gzip: true, timeout_ms: 12_345 },
    ]);
  });

  test.each(['many', '1.5', '1e3', '0x10', ' 1', '1\n', '', '99999999999999999999'])(
    'stays text where it spells no number: %j is no port',
    async (port) => {
      const faults = await faultsOf(
        { ...LEAST, exporters: { postgresql: { port: '${env:PORT:-}' } } },
        { env: { PORT: port } },
      );
      expect(faults).toMatchObject([
        { field: '/exporters/postgresql/port', message: 'must be a whole number' },
      ]);
    },
  );

  test('may be a part of a value, and more than one', async () => {
    const config = await loaded(
      {
        ...LEAST,
        receivers: {
          otlp: { endpoint: '${env:HOST:-127.0.0.1}:${env:PORT:-4318}', tenants: ['*'] },
        },
        exporters: { postgresql: { port: 0 } },
      },
      { env: { PORT: '14318' } },
    );
    expect(config.receivers.otlp?.endpoint).toBe('127.0.0.1:14318');
    const partial = { ...LEAST, exporters: { postgresql: { port: '1${env:PORT}' } } };
    expect(await faultsOf(partial, { env: { PORT: '4' } })).toMatchObject([
      { message: 'must be a whole number' },
    ]);
  });

  test('comes from a file beside the configuration or anywhere, without its last line break', async () => {
    const files = { 'secrets/password': 'from a file\n\n' };
    const text = elasticsearch('${file:secrets/password}');
    const [exporter] = (await loaded(text, { files })).exporters;
    expect(exporter).toMatchObject({ password: 'from a file\n' });
  });
});

test('$${ stands for ${', async () => {
  expect(await passwordOf(elasticsearch("'a$${env:B}c$$d$'"), {})).toBe('a${env:B}c$$d$');
  expect(await passwordOf(elasticsearch('no$reference{here}'), {})).toBe('no$reference{here}');
});

describe('a reference that yields nothing', () => {
  const at = async (password: string, options?: Parameters<typeof load>[1]): Promise<string> => {
    const faults = await faultsOf(elasticsearch(password), options);
    expect(faults[0]).toMatchObject({
      line: 7,
      column: 15,
      field: '/exporters/elasticsearch/password',
    });
    return faults[0]?.message ?? '';
  };

  test('names the variable or the file, the line, and what to do', async () => {
    expect(await at('${env:MISSING}')).toBe(
      'the environment variable MISSING is not set; set it, or give a default: ${env:MISSING:-…}',
    );
    expect(await at('${env:EMPTY}', { env: { EMPTY: '' } })).toContain('EMPTY is empty');
    expect(await at('${file:none}')).toContain('the file none cannot be read (ENOENT)');
    expect(await at('${file:.}')).toContain('is no file');
    expect(await at('${file:/dev/zero}')).toContain('is no file');
    expect(await at('${file:empty}', { files: { empty: '\n' } })).toContain('is empty');
    const large = { files: { large: 'x'.repeat(65_537) } };
    expect(await at('${file:large}', large)).toContain('is no file of up to 65536 bytes');
  });

  test.each([
    '${PASSWORD}',
    '${env:}',
    '${env:A-B}',
    '${env:A',
    '${vault:x}',
    '${}',
    '${env:A:-${env:B}}',
  ])('is said to be none where its form is wrong: %s', async (password) => {
    expect(await at(`'${password}'`)).toContain('begins no reference');
  });

  test('is one fault a reference; the field itself is not faulted again', async () => {
    const faults = await faultsOf({
      ...LEAST,
      data_dir: '${env:A}',
      exporters: { postgresql: { port: '${env:B}' }, filee: {} },
    });
    expect(faults.map(({ field }) => field).toSorted()).toEqual([
      '/data_dir',
      '/exporters/filee',
      '/exporters/postgresql/port',
    ]);
  });
});
