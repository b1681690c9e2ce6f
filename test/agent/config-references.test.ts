import fc from 'fast-check';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isMap, isPair, isScalar, parseDocument, visit } from 'yaml';
import type { load } from '../support/config.ts';
import { faultsOf, LEAST, loaded, repositoryText } from '../support/config.ts';

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

describe('a secret', () => {
  const FILES = [
    'sealtrail.yaml',
    ...['elasticsearch', 'external-postgresql', 'gateway-tls'].map(
      (name) => `examples/${name}.yaml`,
    ),
  ];
  const FILLED = { ELASTIC_API_KEY: 'key', PG_WRITER_PASSWORD: 'w', PG_OWNER_PASSWORD: 'o' };

  /** The file with the scalar number `index` written another way; null where it has fewer. */
  function rewrite(text: string, index: number, written: string): string | null {
    const ranges: [number, number][] = [];
    visit(parseDocument(text), {
      Scalar: (key, node, path) => {
        const parent = path.at(-1);
        const isKey = key === 'key' && isPair(parent) && isScalar(node);
        if (!isKey && node.range) ranges.push([node.range[0], node.range[1]]);
      },
    });
    const range = ranges[index];
    return range === undefined ? null : text.slice(0, range[0]) + written + text.slice(range[1]);
  }

  test('never appears in a fault, whatever field it lands in', async () => {
    const secret = 'hunter2-of-the-wrong-kind-%/:@#';
    const vocabulary = repositoryText('config/vocabulary.json');
    let faulted = 0;
    for (const file of FILES) {
      const text = repositoryText(join('config', file)).replaceAll('/run/secrets/', '');
      const files = {
        '../vocabulary.json': vocabulary,
        'vocabulary.json': vocabulary,
        'acme-token': 'x'.repeat(20),
        'globex-token': 'y'.repeat(20),
      };
      for (let index = 0; ; index++) {
        const written = rewrite(
          text.replace('../vocabulary', 'vocabulary'),
          index,
          `"${REFERENCE}"`,
        );
        if (written === null) break;
        const faults = await faultsOf(written, {
          env: { ...FILLED, [SECRET_NAME]: secret },
          files,
        });
        expect(JSON.stringify(faults)).not.toContain('hunter2');
        faulted += faults.length;
      }
    }
    // Most fields do not take it, so there was something to say.
    expect(faulted).toBeGreaterThan(40);
  });

  test('written into the file itself never appears either, whatever is wrong around it', async () => {
    const whole = `receivers: { otlp: { tenants: ['*'], bearer_tokens: [{ token: hunter2-hunter2-hunter2, tenants: [acme] }] } }
exporters:
  postgresql: { embedded: false, url: "postgresql://writer:hunter2@db.example/x" }
  elasticsearch: { endpoints: ['https://a.example'], username: u, password: 'hunter2: x' }
tenants: [{ id: acme }]
`;
    expect(await faultsOf(whole)).toEqual([]);
    let faulted = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length),
        fc.constantFrom(
          '',
          '"',
          "'",
          ': ',
          '{',
          '}',
          '[',
          '!',
          '*',
          '\n',
          '\t',
          '${',
          '|',
          '@',
          ' #',
          '0',
        ),
        fc.boolean(),
        async (at, inserted, cuts) => {
          const text = whole.slice(0, at) + inserted + (cuts ? '' : whole.slice(at));
          // A key, an anchor or a tag that swallowed the secret may be named: it is no value any more.
          const faults = (await faultsOf(text)).filter(
            ({ message }) => !message.startsWith('unknown key'),
          );
          expect(JSON.stringify(faults.map(({ message }) => message))).not.toContain('hunter2');
          faulted += faults.length;
        },
      ),
      { numRuns: 300 },
    );
    expect(faulted).toBeGreaterThan(100);
    expect(isMap(parseDocument(whole).contents)).toBe(true);
  });
});
