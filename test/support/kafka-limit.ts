/**
 * max.message.bytes of a topic, which librdkafka's mock does not know: a partition's batch beyond it is refused with
 * MESSAGE_TOO_LARGE, and the other partitions of the same request take theirs, as a real broker has it.
 */
const MESSAGE_TOO_LARGE = 10;

export interface Limited {
  /** The request without what is refused. */
  readonly request: Buffer;
  /** Numbers of the partitions whose batch is too large. */
  readonly refused: readonly number[];
}

/** Takes what is too large out of a Produce request (version 3 or later) for one topic. */
export function limitProduce(request: Buffer, bytesMax: number): Limited {
  const countAt = partitionsAt(request, bodyOfRequest(request));
  const kept: Buffer[] = [];
  const refused: number[] = [];
  let at = countAt + 4;
  for (let left = request.readInt32BE(countAt); left > 0; left--) {
    const size = request.readInt32BE(at + 4);
    if (size > bytesMax) refused.push(request.readInt32BE(at));
    else kept.push(request.subarray(at, at + 8 + size));
    at += 8 + size;
  }
  return { request: rebuilt(request, countAt, kept, request.subarray(at)), refused };
}

/** Puts the refusals into the broker's answer. */
export function addRefusals(answer: Buffer, version: number, refused: readonly number[]): Buffer {
  const countAt = partitionsAt(answer, 8);
  const bytesEach = 14 + (version >= 2 ? 8 : 0) + (version >= 5 ? 8 : 0);
  const end = countAt + 4 + answer.readInt32BE(countAt) * bytesEach;
  const parts = refused.map((partition) => {
    const part = Buffer.alloc(bytesEach, 0xff);
    part.writeInt32BE(partition, 0);
    part.writeInt16BE(MESSAGE_TOO_LARGE, 4);
    return part;
  });
  const taken = answer.readInt32BE(countAt);
  const all = [answer.subarray(countAt + 4, end), ...parts];
  return rebuilt(answer, countAt, all, answer.subarray(end), taken + parts.length);
}

/** Behind the header, the transactional id, acks and timeout. */
function bodyOfRequest(request: Buffer): number {
  const at = 14 + Math.max(0, request.readInt16BE(12));
  return at + 2 + Math.max(0, request.readInt16BE(at)) + 6;
}

/** Where the partitions of the only topic are counted. */
function partitionsAt(frame: Buffer, topicsAt: number): number {
  if (frame.readInt32BE(topicsAt) !== 1) throw new Error('a request for one topic was expected');
  return topicsAt + 6 + frame.readInt16BE(topicsAt + 4);
}

function rebuilt(
  frame: Buffer,
  countAt: number,
  parts: readonly Buffer[],
  rest: Buffer,
  count: number = parts.length,
): Buffer {
  const counted = Buffer.alloc(4);
  counted.writeInt32BE(count);
  const made = Buffer.concat([frame.subarray(0, countAt), counted, ...parts, rest]);
  made.writeInt32BE(made.length - 4, 0);
  return made;
}
