import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ECS_TYPES } from '../../schemas/ecs-categories.ts';
import { ECS_VERSION, mapToEcs } from '../../schemas/ecs.ts';
import { mappings } from '../support/definitions.ts';
import { checkEcs, readEcsStandard } from '../support/ecs-check.ts';
import { describeShared } from '../support/shared.ts';

const BY = { name: 'edge-1', version: '0.1.0' };

describeShared('Elastic Common Schema 9.4', () => {
  const standard = readEcsStandard();

  test('our table of categories and expected types is that of the standard', () => {
    const published = standard.fields['event.category']?.allowed_values ?? [];
    expect(Object.fromEntries([...ECS_TYPES].map(([name, types]) => [name, [...types]]))).toEqual(
      Object.fromEntries(published.map((one) => [one.name, one.expected_event_types])),
    );
    expect(`v${ECS_VERSION}`).toBe(standard.version);
  });

  test('every document has only defined fields with allowed values, the rest below sealtrail', () => {
    fc.assert(
      fc.property(mappings, ({ record, definition }) => {
        expect(checkEcs(standard, mapToEcs(record, definition, BY))).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  test('the check itself sees a field, a type, a value, a pair and an array that are wrong', () => {
    const faulty = {
      sealtrail: {},
      event: { category: ['iam'], type: ['denied'], outcome: 'denied', sequence: 'one' },
      user: { roles: 'admin', shoe_size: 45 },
      source: { ip: 'cafe' },
    };
    expect(checkEcs(standard, faulty)).toEqual([
      'event.outcome may not be denied',
      'event.sequence is no long',
      'user.roles must be an array',
      'user.shoe_size is not defined',
      'source.ip is no ip',
      'no category expects type denied',
      'category iam expects none of the types',
    ]);
  });
});
