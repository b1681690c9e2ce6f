import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventScan } from '../../../ledger/verify/event-scan.ts';
import { isCanonical } from '../../../ledger/content-check.ts';
import { canonicalize } from '../../../schemas/canonical.ts';

const scan = new EventScan();

function accepts(text: string | Buffer): boolean {
  const event = Buffer.from(text as string);
  // Between other bytes, as in a line.
  const bytes = Buffer.concat([Buffer.from('{"event":'), event, Buffer.from(',"prev_hash":"')]);
  return scan.scan(bytes, 9, 9 + event.length);
}

const chain = {
  producer: { id: 'p', seq: 3 },
  salt: '0',
  seq: 12,
  stream: 'a/b',
  v: 'sealtrail/1',
};
const sealed = (members: object): object => ({ chain, event: { action: 'a.b' }, ...members });

const any = fc.jsonValue({ maxDepth: 5, noUnicodeString: false });
const event = fc
  .record({ metadata: any, [`zz`]: any })
  .map((members) => canonicalize(sealed(members)));

test('it takes events of every kind for canonical, and finds what they say of their place', () => {
  expect(accepts(canonicalize(sealed({})))).toBe(true);
  expect(scan).toMatchObject({ seq: 12, producerSeq: 3, refused: 0 });
  const texts = ['a"\\\b\f\n\r\t', '\u0001\u001f\u007f', 'ä€😀', '\u2028', ''];
  const numbers = [0, 7, -7, 1.5, 1e21, 5e-324, 123456789012345, 2 ** 53, -1e-7];
  for (const value of [...texts, ...numbers, null, true, false, [], {}, [[1], { a: [] }]])
    expect([value, accepts(canonicalize(sealed({ metadata: { value } })))]).toEqual([value, true]);
});

test('whatever it takes for canonical is canonical', () => {
  const mark = fc.constantFrom(
    ' ',
    '"',
    ',',
    ':',
    '0',
    '-',
    '.',
    'e',
    '\\',
    '{',
    '}',
    '[',
    'u',
    'A',
  );
  fc.assert(
    fc.property(
      event,
      fc.array(fc.tuple(fc.nat(), fc.nat(2), mark), { maxLength: 2 }),
      (text, edits) => {
        let edited = text;
        for (const [where, removed, inserted] of edits) {
          const at = where % (edited.length + 1);
          edited = edited.slice(0, at) + inserted + edited.slice(at + removed);
        }
        // As bytes: half of a character becomes another one.
        const said = Buffer.from(edited).toString();
        if (accepts(edited)) expect(isCanonical(said)).toBe(true);
      },
    ),
    { numRuns: 5_000 },
  );
});

test('what has another form, or says nothing of its place, it leaves to the longer way', () => {
  const others = [
    '{"chain":{"producer":{"id":"p","seq":3},"seq":12,"stream":"a"},"chain":{}}',
    '{"b":1,"a":1}',
    '{"a":1,"a":1}',
    '{"a":01}',
    '{"a":-0}',
    '{"a":1.0}',
    '{"a":1E2}',
    '{"a":"\\/"}',
    '{"a":"\\u0041"}',
    '{"a":"\\u000a"}',
    '{"a":"\\u001F"}',
    '{"a":"\n"}',
    '{"a": 1}',
    '{"a":1,}',
    '{"a":[1,]}',
    '{"a":tru}',
    '{"a":1}}',
    '[]',
    '',
  ];
  const whole = (text: string): string => text.replace(/^\{/, `{"A":${canonicalize(chain)},`);
  for (const text of others)
    expect([text, accepts(text), accepts(whole(text))]).toEqual([text, false, false]);
  // Names in the order of their bytes, which is not that of UTF-16.
  expect(accepts(whole('{"a":"ä","\uffee":1,"\u{1f600}":2}'))).toBe(false);
  for (const member of ['stream', 'seq', 'producer'])
    expect(accepts(canonicalize({ chain: { ...chain, [member]: undefined } }))).toBe(false);
  for (const seq of ['1', -1, 1.5, null, 2 ** 53])
    expect(accepts(canonicalize({ chain: { ...chain, seq } }))).toBe(false);
  for (const refused of ['1', -1, null])
    expect(
      accepts(canonicalize({ chain: { ...chain, producer: { ...chain.producer, refused } } })),
    ).toBe(false);
});

test('bytes that are no UTF-8 are not canonical, whatever they would be read as', () => {
  const text = Buffer.from(canonicalize(sealed({ metadata: { a: 'x\ufffdy' } })));
  expect(accepts(text)).toBe(true);
  const at = text.indexOf(Buffer.from('\ufffd'));
  const broken = Buffer.concat([text.subarray(0, at), Buffer.from([0xff]), text.subarray(at + 3)]);
  expect(broken.toString('utf8')).toBe(text.toString('utf8'));
  expect(accepts(broken)).toBe(false);
});
