/**
 * Opens the sink of an exporter's configuration. None connects before its first batch; the modules of a
 * kind are loaded when the first of it is opened, so an agent pays for the sinks that it has.
 */
import type { ExporterConfig } from '../../../schemas/exporter-config.ts';
import type { MappingAgent } from '../../../schemas/mapping.ts';
import { assertNever } from '../../../schemas/result.ts';
import type { Vocabulary } from '../../../schemas/vocabulary.ts';
import type { Fork, Logger, Sink } from '../../ports.ts';
import { documentFormat } from '../documents.ts';
import { realTiming } from '../timing.ts';
import { createFileSink } from './file.ts';

export interface SinkContext {
  readonly dataDir: string;
  readonly vocabulary: Vocabulary;
  readonly agent: MappingAgent;
  readonly log: Logger;
  /** Called where a place of the chain turns out to be taken. */
  readonly onFork: (fork: Fork) => void;
}

/** Creates the sink. */
export async function openSink(exporter: ExporterConfig, context: SinkContext): Promise<Sink> {
  const { vocabulary, agent, log } = context;
  switch (exporter.type) {
    case 'postgresql': {
      const { openPostgresqlSink } = await import('./postgresql.ts');
      return openPostgresqlSink(exporter, context);
    }
    case 'file': {
      const format = documentFormat(exporter.format, vocabulary, agent);
      const { name, path, rotate } = exporter;
      return createFileSink({ name, path, format, log, ...(rotate && { rotate }) });
    }
    case 'elasticsearch': {
      const { createElasticsearchSink } = await import('./elasticsearch.ts');
      const format = documentFormat(exporter.format, vocabulary, agent);
      return createElasticsearchSink(exporter, format, Date.now);
    }
    case 'splunk': {
      const { createSplunkSink } = await import('./splunk.ts');
      const format = documentFormat(exporter.format, vocabulary, agent);
      return createSplunkSink(exporter, format, Date.now);
    }
    case 'otlp': {
      const { createOtlpSink } = await import('./otlp.ts');
      const format = documentFormat(exporter.format, vocabulary, agent);
      return createOtlpSink(exporter, format, agent, Date.now);
    }
    case 'webhook': {
      const { createWebhookSink } = await import('./webhook.ts');
      const format = documentFormat(exporter.format, vocabulary, agent);
      return createWebhookSink(exporter, format, Date.now);
    }
    case 'syslog': {
      const { createSyslogSink } = await import('./syslog.ts');
      const format = documentFormat(exporter.format, vocabulary, agent);
      return createSyslogSink(exporter, { format, vocabulary, hostName: agent.name, log });
    }
    case 'kafka': {
      const { createKafkaSink } = await import('./kafka.ts');
      return createKafkaSink(exporter, documentFormat(exporter.format, vocabulary, agent));
    }
    case 'nats': {
      const { createNatsSink } = await import('./nats.ts');
      return createNatsSink(exporter, context);
    }
    case 's3': {
      const { createS3Sink } = await import('./s3.ts');
      return createS3Sink(exporter, { dataDir: context.dataDir, log, timing: realTiming });
    }
    default:
      return assertNever(exporter);
  }
}
