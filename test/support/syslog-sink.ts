/** The syslog sink with records to send. */
import { SYSLOG_DEFAULTS } from '../../agent/config-defaults.ts';
import type { DeliveryRecord, Logger, Sink } from '../../agent/ports.ts';
import type { SyslogExporterConfig } from '../../schemas/exporter-config.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import { createSealer, type Sealer } from '../store/sealed.ts';
import { silentLog } from './append-stage.ts';
import { openTestSink, sealedRecords, SINK_BASE } from './sinks.ts';

export const vocabulary: Vocabulary = {
  version: 1,
  actions: new Map(
    (['low', 'high', 'critical'] as const).map((sensitivity) => [
      `a.${sensitivity}`,
      {
        action: `a.${sensitivity}`,
        category: 'data_access',
        description: 'A.',
        sensitivity,
        fail_policy: 'fail_closed',
        retention_class: 'standard',
        ocsf: { class_uid: 6005, activity_id: 1 },
        ecs: { category: ['database'], type: ['access'] },
      } as const,
    ]),
  ),
};
export const sealer: Sealer = createSealer();
export const records: readonly DeliveryRecord[] = sealedRecords(30, undefined, [sealer]);
export const ids: readonly string[] = records.map(({ event }) => event.event_id);

export function openSyslog(
  endpoint: string,
  over: Partial<SyslogExporterConfig> = {},
  log: Logger = silentLog,
): Promise<Sink & AsyncDisposable> {
  return openTestSink(
    {
      ...SYSLOG_DEFAULTS,
      ...SINK_BASE,
      name: 'syslog',
      type: 'syslog',
      endpoint,
      transport: 'tcp',
      ...over,
    },
    vocabulary,
    log,
  );
}
