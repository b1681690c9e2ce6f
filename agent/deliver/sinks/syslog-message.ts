/**
 * The form of a syslog message: RFC 5424, each framed by its length in octets (RFC 5425, 4.3; RFC
 * 6587, 3.4.1). Pure. What a receiver needs to tell a repeated message, or a missing one, is in the
 * structured data; the document is the message itself.
 */
import { definitionOf } from '../../../schemas/agent-actions.ts';
import { severityOf } from '../../../schemas/mapping.ts';
import type { Vocabulary } from '../../../schemas/vocabulary.ts';
import type { DeliveryRecord } from '../../ports.ts';

export interface MessageOptions {
  /** 0 to 23. */
  readonly facility: number;
  readonly hostName: string;
  readonly appName: string;
  readonly vocabulary: Vocabulary;
}

/** From OCSF's scale of four to the eight of RFC 5424: informational, notice, warning, critical. */
const SEVERITIES: readonly number[] = [6, 6, 5, 4, 2];
const SEVERITY_OF_NOTHING_KNOWN = 4;

/**
 * The id of the structured data element. 32473 is the enterprise number that IANA sets aside for
 * examples (RFC 5612): the project has none of its own.
 */
export const STRUCTURED_DATA_ID = 'sealtrail@32473';

/** One message without its frame. `line` is the document, with or without a newline at its end. */
export function formatMessage(
  record: DeliveryRecord,
  line: string,
  { facility, hostName, appName, vocabulary }: MessageOptions,
): string {
  const { event_id, event, chain, resource } = record.event;
  const scale = severityOf(definitionOf(vocabulary, event.action), event.outcome);
  const severity = SEVERITIES[scale] ?? SEVERITY_OF_NOTHING_KNOWN;
  const parameters = {
    event_id,
    stream: chain.stream,
    seq: String(chain.seq),
    tenant: resource.tenant_id,
    this_hash: record.this_hash,
  };
  const data = Object.entries(parameters).map(([name, value]) => ` ${name}="${escape(value)}"`);
  const header = [
    `<${facility * 8 + severity}>1`,
    event.time,
    nameOf(hostName, 255),
    nameOf(appName, 48),
    '-',
    nameOf(event.action, 32),
    `[${STRUCTURED_DATA_ID}${data.join('')}]`,
  ];
  // Without a byte order mark, so MSG-ANY by the grammar: JSON is UTF-8, and its parsers trip over one.
  return `${header.join(' ')} ${line.endsWith('\n') ? line.slice(0, -1) : line}`;
}

/** The message with its length before it, ready for the wire. */
export function frameMessage(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/** A header field: printable ASCII up to so many characters, or the NILVALUE. */
function nameOf(text: string, charsMax: number): string {
  return text.replaceAll(/[^\u0021-\u007e]/g, '').slice(0, charsMax) || '-';
}

/** RFC 5424, 6.3.3. Control characters are no part of any of these values. */
function escape(value: string): string {
  return value.replaceAll(/["\\\]]/g, '\\$&');
}
