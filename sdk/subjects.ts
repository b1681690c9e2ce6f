/**
 * @sealtrail/sdk/subjects: people in events as tokens that can be made to lead to nobody.
 * What is not listed here is internal.
 */
export { subject } from './subjects/mark.ts';
export type { Subject } from './subjects/mark.ts';
export { createSubjects } from './subjects/subjects.ts';
export type { Subjects, SubjectsOptions } from './subjects/subjects.ts';
export type { Person, VaultClient } from './subjects/vault-client.ts';
