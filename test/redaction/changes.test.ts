/** Access is captured, not content: `changes` holds names of fields, and a value that came along goes. */
import { expect, test } from 'vitest';
import type { AuditEvent } from '../../schemas/event.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { eventWith, redactor } from './support.ts';

const changesOf = (...changes: string[]): readonly string[] | undefined =>
  redactor.redactEvent(eventWith({}, { changes })).changes;

const NAMES = [
  ...['email', 'dateOfBirth', 'billing_address', 'address.street', 'items[0].price', '/meta/1'],
  ...['ns:Name', '$ref', '@type', 'prénom', '2fa-enabled', 'password', 'ssn', 'tags.*'],
];

test.each(NAMES)('%s is a name of a field, and stays', (name) => {
  const event = eventWith({}, { changes: [name] });
  expect(redactor.redactEvent(event)).toBe(event);
});

test.each([
  ...['Type 2 diabetes, stage III', 'email=ada', '120/80', '1990-01-01', '+1', '"x"', '42'],
  ...['from Ada to Bob', 'a\tb', 'status: open', 'aGVsbG8gd29ybGQ='],
])('%j is a value, and goes', (value) => {
  expect(changesOf('email', value)).toEqual(['email', '[redacted:free_text]']);
});

test('what redaction finds in a name is replaced there, and a second pass changes nothing', () => {
  const once = redactor.redactEvent(
    eventWith({}, { changes: ['cards.4111111111111111', '4111111111111111', 'a b'] }),
  );
  expect(once.changes).toEqual([
    'cards.[redacted:pan:last4=1111]',
    '[redacted:pan:last4=1111]',
    '[redacted:free_text]',
  ]);
  expect(redactor.redactEvent(once)).toBe(once);
});

test('the fast way takes names for plain, and no value', () => {
  const isPlain = (changes: string[]): boolean => {
    const event: AuditEvent = eventWith({}, { changes });
    const bytes = Buffer.from(`${canonicalize(event)}\n`);
    const room = Buffer.alloc(4096);
    const isRead = redactor.readPlain(bytes, 0, bytes.length - 1) !== null;
    expect(redactor.writePlain(event, room, 0) > 0).toBe(isRead);
    return isRead;
  };
  expect(isPlain(['email', 'address.street', 'items[0].price'])).toBe(true);
  for (const value of ['Type 2', '120/80', 'a=b', '42', ''])
    expect(isPlain(['email', value]), value).toBe(false);
});
