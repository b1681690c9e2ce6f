/** Log lines out of files, plain or gzip: read once, as a stream. */
import { err, messageOf, ok } from '../../schemas/result.ts';
import { needlesOf } from './ids.ts';
import { findLines } from './lines.ts';
import { readLogLine, type LogLine } from './log-line.ts';
import { LINES_MAX, type LogSource } from './source.ts';

const LINE_BYTES_MAX = 1024 * 1024;

/** The source that a file is. */
export function openLogFile(path: string): LogSource {
  return {
    name: path,
    find: async (ids) => {
      const counts = { tooLong: 0 };
      const lines: LogLine[] = [];
      let total = 0;
      const limits = { lineBytesMax: LINE_BYTES_MAX };
      try {
        for await (const { text, number } of findLines(path, needlesOf(ids), limits, counts)) {
          const line = readLogLine(text, `${path}:${number}`, ids);
          if (line === null) continue;
          total += 1;
          if (lines.length < LINES_MAX) lines.push(line);
        }
      } catch (error) {
        return err(messageOf(error));
      }
      const notes =
        counts.tooLong === 0
          ? []
          : [`${counts.tooLong} lines are longer than ${LINE_BYTES_MAX} bytes: not looked at`];
      return ok({ lines, total, notes });
    },
  };
}
