/** One hostile span makes no trace unreadable: what is no span is left out, the others are found. */
import { expect, test } from 'vitest';
import { parseJaeger } from '../../../auditor/join/jaeger-json.ts';
import { parseOtlp } from '../../../auditor/join/otlp-json.ts';

const NO_TEXT = '{"toString":1,"valueOf":1}';
const TRACE = 'a'.repeat(32);

test('OTLP: a time that no clock shows, a name that is no text, a key of the prototype', () => {
  const span = (start: string, name = '"good"', key = '"k"'): string =>
    `{"traceId":"${TRACE}","spanId":"${'b'.repeat(16)}","name":${name},"startTimeUnixNano":${start},"endTimeUnixNano":"2",
      "attributes":[{"key":${key},"value":{"intValue":${NO_TEXT}}},{"key":"__proto__","value":{"stringValue":"x"}}]}`;
  const all = [
    span('"1"'),
    span('1e999'),
    span('1e300'),
    span('1', NO_TEXT),
    span('1', '"n"', NO_TEXT),
  ];
  const spans = parseOtlp(
    JSON.parse(`{"resourceSpans":[{"scopeSpans":[{"spans":[${all.join(',')}]}]}]}`),
  );
  expect(spans?.map(({ name }) => name)).toEqual(['good', '', 'n']);
  expect(Object.getPrototypeOf(spans?.[0]?.attributes)).toBe(Object.prototype);
});

test('Jaeger: the same', () => {
  const span = (start: string, name = '"good"', process = '"p1"'): string =>
    `{"traceID":"${TRACE}","spanID":"b","operationName":${name},"startTime":${start},"duration":1,"processID":${process},
      "tags":[{"key":${NO_TEXT},"value":"x"}]}`;
  const all = [
    span('1'),
    span('1e999'),
    span('1e300'),
    span('1', NO_TEXT),
    span('1', '"n"', NO_TEXT),
  ];
  const spans = parseJaeger(
    JSON.parse(
      `{"data":[{"spans":[${all.join(',')}],"processes":{"p1":{"serviceName":${NO_TEXT}}}}]}`,
    ),
  );
  expect(spans?.map(({ name }) => name)).toEqual(['good', '', 'n']);
});
