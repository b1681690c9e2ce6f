/** A client that skips the SDK: it speaks the socket protocol by hand, as an attacker or a bug would. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { ulid } from 'ulid';
import { createFrameDecoder, encodeFrame } from '../../schemas/wire-codec.ts';
import { FRAME_BYTES_MAX, FrameType, type Ack } from '../../schemas/wire.ts';

/** Sends events, each as JSON text, in one batch; returns the agent's answer. */
export async function sendRaw(socketPath: string, events: readonly string[]): Promise<Ack> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  const hello = { version: 1, service: 'raw', producer: ulid() };
  socket.write(encodeFrame(FrameType.hello, JSON.stringify(hello)));
  const lines = [JSON.stringify({ batch: 1, first_seq: 0 }), ...events];
  socket.write(encodeFrame(FrameType.batch, `${lines.join('\n')}\n`));
  const decoder = createFrameDecoder(FRAME_BYTES_MAX);
  for await (const bytes of socket) {
    const frames = decoder.push(bytes as Buffer);
    if (!frames.ok) throw new Error(frames.error.message);
    for (const { type, payload } of frames.value) {
      if (type !== FrameType.ack) continue;
      socket.destroy();
      return JSON.parse(Buffer.from(payload).toString('utf8')) as Ack;
    }
  }
  throw new Error('the agent ended the connection');
}
