/** No secret is ever repeated: neither what a reference yields nor what is written into the file itself. */
import fc from 'fast-check';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isMap, isPair, isScalar, parseDocument, visit } from 'yaml';
import { faultsOf, repositoryText } from '../support/config.ts';

const SECRET_NAME = 'SECRET';
const REFERENCE = `\${env:${SECRET_NAME}}`;

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
