/** Judges documents by the published JSON Schemas of the OCSF classes. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { readShared } from './shared.ts';

export interface OcsfStandard {
  readonly version: string;
  readonly classes: readonly {
    readonly name: string;
    readonly caption: string;
    readonly uid: number;
    readonly category_uid: number;
    readonly activities: Readonly<Record<string, string>>;
    readonly required: readonly string[];
  }[];
}

/** The class list of ../shared/standards. */
export function readOcsfStandard(): OcsfStandard {
  return JSON.parse(readShared('standards/ocsf/index.json')) as OcsfStandard;
}

/** Compiles the schemas; the check returns every fault of a document, one line each. */
export function createOcsfCheck(standard: OcsfStandard): (document: object) => readonly string[] {
  const byClass = new Map<unknown, ValidateFunction>();
  for (const { name, uid } of standard.classes) {
    const schema: unknown = JSON.parse(readShared(`standards/ocsf/${name}.schema.json`));
    byClass.set(uid, new Ajv2020({ strict: false }).compile(schema as object));
  }
  return (document) => {
    const class_uid = 'class_uid' in document ? document.class_uid : undefined;
    const validate = byClass.get(class_uid);
    if (validate === undefined) return [`class_uid ${String(class_uid)} is none of the classes`];
    if (validate(document)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  };
}
