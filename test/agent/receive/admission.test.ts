/** What may enter, judged on what would be stored. */
import { expect, test } from 'vitest';
import { createAdmission } from '../../../agent/receive/admission.ts';
import { createRedactor } from '../../../redaction/redaction.ts';
import { EVENT_BYTES_MAX } from '../../../schemas/wire.ts';
import { makeEvent } from '../../support/events.ts';
import { TEST_VOCABULARY } from '../../support/otlp.ts';

const admission = createAdmission({
  tenants: new Set(['acme']),
  vocabulary: TEST_VOCABULARY,
  redactor: createRedactor({ masterKey: Buffer.alloc(32, 1) }),
});
const all = { has: () => true };
const event = (metadata: object): ReturnType<typeof makeEvent> =>
  makeEvent({
    event: {
      action: 'user.login',
      category: 'authentication',
      outcome: 'success',
      time: '2026-03-01T10:00:00.000Z',
    },
    metadata: metadata as never,
  });

function admit(text: string): ReturnType<typeof admission.admitLine> {
  const bytes = Buffer.from(`${text}\n`);
  return admission.admitLine(bytes, 0, bytes.length - 1, all);
}

test('an event is as large as what is stored of it, not as the text that was sent', () => {
  // Each number takes five characters here and seventeen there.
  const text = JSON.stringify(event({ n: [] })).replace('[]', `[${'1e15,'.repeat(10_000)}1]`);
  expect(Buffer.byteLength(text)).toBeLessThan(EVENT_BYTES_MAX);
  expect(admit(text)).toMatchObject({ ok: false, error: { kind: 'too_large' } });
  const fits = JSON.stringify(event({ note: 'x'.repeat(60_000) }));
  expect(admit(fits)).toMatchObject({ ok: true });
});
