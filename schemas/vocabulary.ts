/**
 * The action vocabulary: the actions an application may record, declared in a file that is
 * reviewed like an API. A free-text action is refused at the door.
 */
import type { Result } from './result.ts';

export type Sensitivity = 'low' | 'medium' | 'high' | 'critical';
export type FailPolicy = 'fail_closed' | 'fail_open';

/** What one action means, to us and to the SIEM. */
export interface ActionDefinition {
  /** Dotted lower case, `noun.verb`: `customer.export`. */
  readonly action: string;
  /** Our category, free of the SIEM's: `data_access`, `authentication`, … */
  readonly category: string;
  readonly description: string;
  readonly sensitivity: Sensitivity;
  readonly fail_policy: FailPolicy;
  /** Name of a class in the configuration's `retention.classes`. */
  readonly retention_class: string;
  /** OCSF 1.8 class and activity, by uid. */
  readonly ocsf: { readonly class_uid: number; readonly activity_id: number };
  /** ECS allowed values; every category/type pair MUST be one that ECS allows. */
  readonly ecs: { readonly category: readonly string[]; readonly type: readonly string[] };
}

export interface Vocabulary {
  readonly version: 1;
  readonly actions: ReadonlyMap<string, ActionDefinition>;
}

export interface VocabularyError {
  /** JSON pointer into the file. */
  readonly field: string;
  readonly message: string;
}

/** Reads a parsed vocabulary file (`{version: 1, actions: [...]}`); lists every fault it finds. */
export type ParseVocabulary = (value: unknown) => Result<Vocabulary, readonly VocabularyError[]>;
