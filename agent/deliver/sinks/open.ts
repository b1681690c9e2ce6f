/** Opens the sink of an exporter's configuration. None connects before its first batch. */
import type { ExporterConfig } from '../../../schemas/exporter-config.ts';
import type { MappingAgent } from '../../../schemas/mapping.ts';
import { assertNever } from '../../../schemas/result.ts';
import type { Vocabulary } from '../../../schemas/vocabulary.ts';
import type { Logger, Sink } from '../../ports.ts';
import { documentFormat } from '../documents.ts';
import { realTiming } from '../timing.ts';
import { createElasticsearchSink } from './elasticsearch.ts';
import { createFileSink } from './file.ts';
import { createOtlpSink } from './otlp.ts';
import { createSplunkSink } from './splunk.ts';
import { createWebhookSink } from './webhook.ts';
import { createKafkaSink } from './kafka.ts';
import { createNatsSink } from './nats.ts';
import { openPostgresqlSink } from './postgresql.ts';
import { createS3Sink } from './s3.ts';
import { createSyslogSink } from './syslog.ts';

export interface SinkContext {
  readonly dataDir: string;
  readonly vocabulary: Vocabulary;
  readonly agent: MappingAgent;
  readonly log: Logger;
}

/** Creates the sink. */
export function openSink(exporter: ExporterConfig, context: SinkContext): Sink {
  const { vocabulary, agent, log } = context;
  switch (exporter.type) {
    case 'postgresql':
      return openPostgresqlSink(exporter, context.dataDir, log);
    case 'file': {
      const format = documentFormat(exporter.format, vocabulary, agent);
      const { name, path, rotate } = exporter;
      return createFileSink({ name, path, format, log, ...(rotate && { rotate }) });
    }
    case 'elasticsearch': {
      const format = documentFormat(exporter.format, vocabulary, agent);
      return createElasticsearchSink(exporter, format, Date.now);
    }
    case 'splunk':
      return createSplunkSink(
        exporter,
        documentFormat(exporter.format, vocabulary, agent),
        Date.now,
      );
    case 'otlp':
      return createOtlpSink(
        exporter,
        documentFormat(exporter.format, vocabulary, agent),
        agent,
        Date.now,
      );
    case 'webhook':
      return createWebhookSink(
        exporter,
        documentFormat(exporter.format, vocabulary, agent),
        Date.now,
      );
    case 'syslog': {
      const format = documentFormat(exporter.format, vocabulary, agent);
      return createSyslogSink(exporter, { format, vocabulary, hostName: agent.name, log });
    }
    case 'kafka':
      return createKafkaSink(exporter, documentFormat(exporter.format, vocabulary, agent));
    case 'nats':
      return createNatsSink(exporter);
    case 's3':
      return createS3Sink(exporter, { dataDir: context.dataDir, log, timing: realTiming });
    default:
      return assertNever(exporter);
  }
}
