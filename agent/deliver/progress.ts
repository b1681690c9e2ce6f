/** What a sink's loop tells of itself, and how the main thread turns that into a SinkStatus. */
import type { ExporterConfig } from '../../schemas/exporter-config.ts';
import type { SinkStatus } from '../status-ports.ts';

/** A status without what depends on the ledger and the clock. */
export interface SinkReport extends Omit<SinkStatus, 'lag_records' | 'lag_seconds'> {
  /** When the agent received the oldest record that is read and not yet delivered. */
  readonly oldest_ms: number | null;
}

export interface Progress {
  report(): SinkReport;
  change(members: Partial<SinkReport>): void;
}

/** Creates the report of a sink that has not begun; `onChange` says whether its state changed. */
export function createProgress(
  exporter: Pick<ExporterConfig, 'name' | 'type' | 'required'>,
  onChange: (isNewState: boolean) => void,
): Progress {
  let report: SinkReport = {
    name: exporter.name,
    type: exporter.type,
    required: exporter.required,
    state: 'idle',
    cursor: 0,
    oldest_ms: null,
    delivered_total: 0,
    retries_total: 0,
    skipped_total: 0,
    dead_letters: 0,
    last_error: null,
    last_error_at: null,
  };
  return {
    report: () => report,
    change: (members) => {
      const before = report.state;
      report = { ...report, ...members };
      onChange(report.state !== before);
    },
  };
}

/** The status at this moment, with `durable` records in the ledger. */
export function statusOf(report: SinkReport, durable: number, nowMs: number): SinkStatus {
  const { oldest_ms, ...rest } = report;
  const lag = Math.max(0, durable - report.cursor);
  const ageMs = lag === 0 || oldest_ms === null ? 0 : Math.max(0, nowMs - oldest_ms);
  return { ...rest, lag_records: lag, lag_seconds: ageMs / 1000 };
}
