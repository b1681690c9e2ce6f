/** Opens the sink of an exporter's configuration. None connects before its first batch. */
import type { ExporterConfig } from '../../../schemas/config.ts';
import type { MappingAgent } from '../../../schemas/mapping.ts';
import { assertNever } from '../../../schemas/result.ts';
import type { Vocabulary } from '../../../schemas/vocabulary.ts';
import type { Logger, Sink } from '../../ports.ts';
import { documentFormat } from '../documents.ts';
import { createElasticsearchSink } from './elasticsearch.ts';
import { createFileSink } from './file.ts';
import { createNatsSink } from './nats.ts';
import { openPostgresqlSink } from './postgresql.ts';

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
      return createFileSink({ name: exporter.name, path: exporter.path, format, log });
    }
    case 'elasticsearch': {
      const format = documentFormat(exporter.format, vocabulary, agent);
      return createElasticsearchSink(exporter, format, Date.now);
    }
    case 'nats':
      return createNatsSink(exporter);
    default:
      return assertNever(exporter);
  }
}
