/** Copies of checkpoints for a store that does not answer. */
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { copyCheckpoints } from '../../agent/checkpoint-copies.ts';
import { createStops } from '../../agent/stops.ts';
import { makeTempDir } from '../support/ledger.ts';

const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn(), debug: vi.fn() } as never;

test('a store that does not answer is asked once, however often its turn comes, and keeps nobody from stopping', async () => {
  await using temp = await makeTempDir();
  await mkdir(join(temp.path, 'checkpoints'));
  const note = `sealtrail/host/0/tenant/class\n1\n${Buffer.alloc(32).toString('base64')}\n`;
  const line = `${JSON.stringify({ head: 'f'.repeat(64), note })}\n`;
  await writeFile(join(temp.path, 'checkpoints', 'journal.ndjson'), line);
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const exporter = { name: 'postgresql', type: 'postgresql', embedded: false };
  const config = {
    data_dir: temp.path,
    checkpoints: { enabled: true, anchor_interval_ms: 1 },
    exporters: [{ ...exporter, url: `postgresql://writer@127.0.0.1:${port}/audit` }],
  } as never;

  const turns = vi.spyOn(globalThis, 'setInterval');
  const stops = createStops(log);
  copyCheckpoints({ config, log, stops });
  const turn = turns.mock.calls[0]?.[0];
  turns.mockRestore();
  await vi.waitFor(() => expect(sockets).toHaveLength(1), { timeout: 20_000 });
  for (let n = 0; n < 20; n++) turn?.();
  await stops.run();
  expect(sockets).toHaveLength(1);
  for (const socket of sockets) socket.destroy();
  await new Promise((done) => server.close(done));
});
