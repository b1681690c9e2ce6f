/** Events in which every value that a question's statement looks at is drawn from what is odd about it. */
import type { Json } from '../../schemas/event.ts';
import type { EventFields } from '../store/sealed.ts';

const NUMBERS: readonly Json[] = [
  0, -5, 1000, 1000.5, 1001, 1e-7, 1.5e-10, 123456.789e-20, 9007199254740991, 42,
];
const TEXTS: readonly Json[] = [
  ...[
    '',
    ' ',
    '1e5',
    '1.e5',
    '1001',
    '1000.50',
    ' 2000',
    '2000\n',
    '٢٠٠٠',
    '-1',
    '0x7d0',
    '1_000',
    '9'.repeat(30),
    '9'.repeat(31),
  ],
  ...[
    'T-1',
    't-1',
    'see T-12, not T-13',
    'ABCDEFGHIJKLM-1',
    'É-1 Ä T-5',
    'T-1234567890123',
    'A\u0001"\\ T-9',
    '%',
    '_',
    '\\u0041-1',
  ],
  ...[
    '42',
    'null',
    'true',
    '[]',
    'c-1',
    'C-1',
    'é',
    'e\u0301',
    '\u{1F600}',
    "O'Brien",
    `"assignee":"u-1"`,
  ],
];
const OTHERS: readonly Json[] = [
  ...[null, true, false, [], {}, ['T-1', 'T-2'], [2000], { n: 2000 }, { aa: 'A-1', b: 'B-2' }],
  ...[
    { bb: 'A-1', a: { c: 'B-2', aa: 1e-9 } },
    { é: 'A-1', zz: 'B-2' },
    { row_count: 5000, ticket: 'T-1', assignee: 'u-1' },
  ],
];
export const VALUES: readonly Json[] = [...NUMBERS, ...TEXTS, ...OTHERS];
const NAMES = ['ticket', 'reason', 'customer', 'row_count', 'assignee'];
const LONG = 'ö'.repeat(900);
export const IDS: readonly string[] = [
  'u-1',
  'U-1',
  '42',
  '0.0000001',
  'c-1',
  'é',
  'e\u0301',
  '%',
  LONG,
  'T-1',
  '{"aa": "A-1"}',
];
export const ZONES: readonly string[] = [
  'Europe/Berlin',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'America/Havana',
  'Africa/Cairo',
];
/** Opens, closes, days; one in each zone, of which clocks are put at other hours. */
export const HOURS = [
  ['02:30', '03:15', 'mon,tue,wed,thu,fri,sat,sun'],
  ['08:00', '18:00', 'mon,tue,wed,thu,fri'],
  ['00:30', '23:30', 'sun'],
  ['00:00', '00:01', 'fri,sat'],
] as const;
/** On either side of times at which clocks are put, and at borders of the range. */
const TIMES = [
  ...[
    '2026-03-28T23:59:59.999Z',
    '2026-03-29T00:00:00.000Z',
    '2026-03-29T00:59:59.999Z',
    '2026-03-29T01:00:00.000Z',
  ],
  ...[
    '2026-03-29T01:15:00.000Z',
    '2026-03-29T01:20:00.000Z',
    '2026-03-29T01:30:00.000Z',
    '2026-03-08T05:30:00.000Z',
  ],
  ...[
    '2026-10-25T00:30:00.000Z',
    '2026-10-25T01:30:00.000Z',
    '2026-11-01T04:30:00.000Z',
    '2026-11-01T05:30:00.000Z',
  ],
  ...[
    '2026-04-24T22:30:00.000Z',
    '2026-10-29T20:30:00.000Z',
    '2026-10-29T21:30:00.000Z',
    '2026-03-31T22:00:00.000Z',
  ],
];
/** Beyond what a partition of their own is made for. */
const FAR = [
  '0001-01-03T00:00:00.000Z',
  '0049-12-31T23:00:00.000Z',
  '0050-06-01T12:00:00.000Z',
  '1969-12-31T23:59:59.999Z',
  '9999-12-31T23:59:59.999Z',
];

/** In Apia: Thursday at 4 p.m. and its last moment; Saturday from its first, since there was no Friday; Monday at 2 p.m. */
const DATE_LINE = [
  ...['2011-12-30T02:00:00.000Z', '2011-12-30T09:59:59.999Z'],
  ...['2011-12-30T10:00:00.000Z', '2011-12-30T20:00:00.000Z', '2012-01-02T00:00:00.000Z'],
];

function createDice(seed: number): <T>(of: readonly T[]) => T {
  let state = seed;
  return (of) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return of[Math.floor((state / 2_147_483_648) * of.length)]!;
  };
}

/** Three hundred and fifty events of odd values, the same ones of one seed, and one for each other odd thing. */
export function makeOddEvents(seed: number): EventFields[] {
  const one = createDice(seed);
  const odd = Array.from({ length: 350 }, (): EventFields => {
    const names = NAMES.filter(() => one([0, 0, 1]) === 1);
    const metadata = Object.fromEntries(names.map((name) => [name, one(VALUES)]));
    const isTicket = one([0, 0, 1]) === 1;
    return {
      ...{
        time: one([...TIMES, ...TIMES, ...FAR]),
        actor: one(IDS),
        outcome: one(['success', 'success', 'denied', 'failure'] as const),
      },
      action: isTicket
        ? one(['ticket.assign', 'ticket.assign', 'ticket.close'])
        : one(['customer.export', 'invoice.read']),
      category: one(['data_access', 'authentication']),
      resourceType: isTicket ? 'ticket' : one(['customer', 'ticket', 'Customer']),
      resourceId: one(IDS),
      metadata: one([0, 0, 0, 0, 1]) === 1 ? { ...metadata, note: 'a\u0000b' } : metadata,
      ...(one([0, 1, 1]) === 0 ? { onBehalfOf: one(IDS) } : {}),
    };
  });
  return [
    ...odd,
    // What is odd about a count, each once.
    ...VALUES.map((row_count) => ({ time: TIMES[0]!, metadata: { row_count } })),
    ...DATE_LINE.map((time) => ({ time })),
  ];
}
