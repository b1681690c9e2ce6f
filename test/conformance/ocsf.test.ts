import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { OCSF_CLASSES, OCSF_VERSION } from '../../schemas/ocsf-classes.ts';
import { OCSF_REQUIRED } from '../../schemas/ocsf-required.ts';
import { mapToOcsf } from '../../schemas/ocsf.ts';
import { mappings } from '../support/definitions.ts';
import { createOcsfCheck, readOcsfStandard } from '../support/ocsf-check.ts';
import { describeShared, readShared } from '../support/shared.ts';

interface RequiredParts {
  readonly required: readonly string[];
  readonly anyOf?: readonly { readonly required: readonly string[] }[];
  readonly oneOf?: readonly { readonly required: readonly string[] }[];
}

const BY = { name: 'edge-1', version: '0.1.0' };

describeShared('Open Cybersecurity Schema Framework 1.8', () => {
  const standard = readOcsfStandard();
  const check = createOcsfCheck(standard);

  test('our table of classes and activities is that of the standard', () => {
    const ours = [...OCSF_CLASSES].map(([uid, { caption, activities }]) => ({
      uid,
      caption,
      category_uid: Math.floor(uid / 1000),
      activities: Object.fromEntries(activities),
    }));
    const published = standard.classes
      .map(({ uid, caption, category_uid, activities }) => ({
        uid,
        caption,
        category_uid,
        activities,
      }))
      .sort((a, b) => a.uid - b.uid);
    expect(ours).toEqual(published);
    expect(OCSF_VERSION).toBe(standard.version);
  });

  test('every document validates against the schema of its class', () => {
    const seen = new Set<number>();
    fc.assert(
      fc.property(mappings, ({ record, definition }) => {
        const document = mapToOcsf(record, definition, BY);
        seen.add(document.class_uid);
        expect(check(document)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
    expect([...seen].sort()).toEqual([...OCSF_CLASSES.keys()].sort());
  });

  test('docs/mapping.md accounts for every attribute that a class requires, and for no other', () => {
    const listed = OCSF_REQUIRED.map(({ attribute }) => attribute);
    const required = new Set(['metadata.version', 'metadata.product']);
    for (const { name } of standard.classes) {
      const schema = JSON.parse(readShared(`standards/ocsf/${name}.schema.json`)) as RequiredParts;
      for (const one of schema.required) if (one !== 'metadata') required.add(one);
      const alternatives = (schema.anyOf ?? schema.oneOf ?? []).flatMap((one) => one.required);
      const chosen = alternatives.filter((one) => listed.includes(one));
      expect(chosen.length > 0 || alternatives.length === 0, name).toBe(true);
      for (const one of chosen) required.add(one);
    }
    expect(listed.toSorted()).toEqual([...required].sort());
  });

  test('the check itself refuses a document that lacks or invents an attribute', () => {
    fc.assert(
      fc.property(mappings, ({ record, definition }) => {
        const { metadata, ...rest } = mapToOcsf(record, definition, BY);
        expect(check(rest)).not.toEqual([]);
        expect(check({ ...rest, metadata, invented: 1 })).not.toEqual([]);
        expect(check({ ...rest, metadata, type_uid: 1 })).not.toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});
