/**
 * COPY … TO STDOUT (FORMAT binary): rows as the server has them, without a value or a string made of each column.
 * The protocol puts one row in one message; the bytes are the driver's, and MUST be read before the call returns.
 *
 *   row    number of columns, 2 bytes; for each its length, 4 bytes, -1 for null, and its bytes
 *   first  preceded by a header of 19 bytes
 *   last   a number of columns of -1, and no row
 */
import type { ClientBase, Connection } from 'pg';

const HEADER_BYTES = 19;

/** Runs it over a client that does not pipeline; `onRow` gets each row and where its first length stands. */
export function copyOut(
  client: ClientBase,
  select: string,
  onRow: (row: Buffer, at: number) => void,
): Promise<void> {
  return new Promise((settle, reject) => {
    let at = HEADER_BYTES;
    client.query({
      // The driver puts its time-out around this.
      callback: (error: Error | null) => (error === null ? settle() : reject(error)),
      submit: (connection: Connection) =>
        connection.query(`COPY (${select}) TO STDOUT (FORMAT binary)`),
      handleCopyData: ({ chunk }: { readonly chunk: Buffer }) => {
        if (chunk.readInt16BE(at) >= 0) onRow(chunk, at + 2);
        at = 0;
      },
      handleCommandComplete: () => undefined,
      handleReadyForQuery() {
        this.callback(null);
      },
      handleError(error: Error) {
        this.callback(error);
      },
    });
  });
}
