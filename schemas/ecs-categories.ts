/**
 * Which `event.type` values ECS 9.4 expects below each `event.category` (its "expected event types").
 * Facts of the standard: test/conformance/ecs.test.ts compares them with the published field list.
 */

const EXPECTED_TYPES = {
  api: 'access admin allowed change creation deletion denied end info start user',
  authentication: 'start end info',
  configuration: 'access change creation deletion info',
  database: 'access change info error',
  driver: 'change end info start',
  email: 'info',
  file: 'access change creation deletion info',
  host: 'access change end info start',
  iam: 'admin change creation deletion group info user',
  intrusion_detection: 'allowed denied info',
  library: 'start',
  malware: 'info',
  network: 'access allowed connection denied end info protocol start',
  package: 'access change deletion info installation start',
  process: 'access change end info start',
  registry: 'access change creation deletion',
  session: 'start end info',
  threat: 'indicator',
  vulnerability: 'info',
  web: 'access error info',
};

/** Expected types by category; what is not here ECS does not allow. */
export const ECS_TYPES: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(EXPECTED_TYPES).map(([category, types]) => [category, new Set(types.split(' '))]),
);
