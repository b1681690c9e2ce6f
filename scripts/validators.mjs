// Compiles every schemas/*.schema.json (draft 2020-12) to standalone validators with Ajv.
// One file per schema: schemas/generated/<name>.js with its .d.ts; esbuild inlines Ajv's few
// run-time helpers, so neither the SDK nor the agent needs Ajv installed.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import standaloneCode from 'ajv/dist/standalone/index.js';
import addFormats from 'ajv-formats';
import { buildSync } from 'esbuild';

const OUT = 'schemas/generated';
const TYPES = `export interface ValidationError {
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string;
  /** The schema that the value breaks; of the configuration only. */
  readonly parentSchema?: Readonly<Record<string, unknown>>;
}
declare const validate: {
  (value: unknown): boolean;
  errors: readonly ValidationError[] | null;
};
export { validate };
`;

/** Writes the validators of the named schemas, by default all, into a folder that it empties first. */
export function generateValidators(out = OUT, names = schemaNames()) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const name of names) {
    const schema = JSON.parse(readFileSync(join('schemas', `${name}.schema.json`), 'utf8'));
    // Lengths are UTF-16 units (unicode: false): Ajv's code point count walks every string on the hot path.
    // Configuration errors are read by people, all at once; an event is refused at its first.
    const allErrors = ['config', 'gateway', 'vocabulary', 'web'].includes(name);
    const ajv = new Ajv2020({
      code: { source: true, esm: true, lines: true },
      allErrors,
      // Says which schema was broken, so that messages can name what was meant.
      verbose: ['config', 'gateway', 'web'].includes(name),
      strict: true,
      allowUnionTypes: true,
      unicode: false,
      unicodeRegExp: false,
      // Its only word is that `unicode` is deprecated; what matters throws, by `strict`.
      logger: false,
    });
    addFormats(ajv);
    const validate = ajv.compile(schema);
    const source = standaloneCode(ajv, validate);
    const bundled = buildSync({
      stdin: { contents: source, resolveDir: process.cwd(), loader: 'js' },
      bundle: true,
      format: 'esm',
      platform: 'neutral',
      mainFields: ['main'],
      write: false,
    });
    writeFileSync(join(out, `${name}.js`), bundled.outputFiles[0].text);
    writeFileSync(join(out, `${name}.d.ts`), TYPES);
  }
}

function schemaNames() {
  const files = readdirSync('schemas').filter((name) => name.endsWith('.schema.json'));
  return files.map((name) => name.replace('.schema.json', ''));
}

if (process.argv[1]?.endsWith('validators.mjs')) generateValidators();
