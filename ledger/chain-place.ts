/** Where a record says that it belongs, as a verifier reads it: of any form, since it may be forged. Pure. */
import { parseJson } from '../schemas/canonical.ts';
import type { Json } from '../schemas/event.ts';

/** What a record says of itself. */
export interface ChainPlace {
  readonly stream: string;
  readonly seq: number;
  readonly producer: string;
  readonly producerSeq: number;
  readonly refused: number;
}

/** A record's event and what it says of itself. */
export interface ChainRead {
  readonly event: Json;
  readonly chain: ChainPlace;
}

/** The event and where it says it belongs; null when it does not say so in the form of sealtrail/1. */
export function readChain(eventText: string): ChainRead | null {
  const event = tryParse(eventText);
  const chain = memberOf(event, 'chain');
  const stream = memberOf(chain, 'stream');
  const seq = memberOf(chain, 'seq');
  const producer = memberOf(memberOf(chain, 'producer'), 'id');
  const producerSeq = memberOf(memberOf(chain, 'producer'), 'seq');
  const refused = memberOf(memberOf(chain, 'producer'), 'refused') ?? 0;
  if (typeof stream !== 'string' || typeof seq !== 'number' || !Number.isSafeInteger(seq))
    return null;
  if (typeof producer !== 'string' || typeof producerSeq !== 'number') return null;
  if (typeof refused !== 'number') return null;
  return { event, chain: { stream, seq, producer, producerSeq, refused } };
}

function tryParse(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    // No JSON has no chain either: the caller reports it.
    return null;
  }
}

/** A member of a JSON object; undefined where the value is none or has no such member of its own. */
export function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name)
    ? (value as { readonly [name: string]: Json })[name]
    : undefined;
}
