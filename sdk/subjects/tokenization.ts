/**
 * From a draft with marked people to one with tokens. Where all tokens are at hand nothing waits; else the event
 * is checked first, so that nobody is added to the vault for an event that is refused. A vault that is away is
 * decided by the action's fail policy: refused, or recorded without saying who. Never does an identity go on.
 */
import { normalizeIdentity, UNRESOLVED_SUBJECT } from '../../redaction/subjects/identity.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import { currentContext } from '../context.ts';
import { AuditError } from '../errors.ts';
import type { EventDraft, PlainDraft } from '../event-draft.ts';
import { asAuditError } from '../failure.ts';
import { Subject } from './mark.ts';
import { hasSubjects, replaceSubjects } from './marked.ts';
import type { Subjects } from './subjects.ts';
import type { Person } from './vault-client.ts';

export interface Tokenization {
  /** Calls `next` with the draft in which tokens stand for people; `refuse` with why there are none. */
  through<T>(
    draft: EventDraft,
    next: (plain: PlainDraft) => Promise<T>,
    refuse: (error: AuditError) => Promise<T>,
  ): Promise<T>;
  /** Resolves once nothing that was asked for is open. */
  whenIdle(): Promise<void>;
}

export interface TokenizationPorts {
  readonly subjects: Subjects | undefined;
  /** Of drafts that name none, and whose context has none. */
  readonly tenant: string;
  readonly vocabulary: Vocabulary;
  nowMs(): number;
  /** Throws AuditError for a draft that would be refused. */
  check(plain: PlainDraft): unknown;
  /** Tells that an event goes on without saying who. */
  onUnresolved(error: AuditError, action: string): void;
}

/** People in a draft, and the draft as it was when it was handed in. */
interface Marked {
  readonly snapshot: EventDraft;
  readonly people: ReadonlyMap<Subject, Person>;
}

/** Creates the way through the vault; without subjects it is a straight one. */
export function createTokenization(ports: TokenizationPorts): Tokenization {
  const { subjects } = ports;
  const open = new Set<Promise<unknown>>();

  function find(draft: EventDraft): Marked | null {
    const context = currentContext();
    const actor = draft.actor ?? context.actor;
    if (!hasSubjects(draft, actor)) return null;
    const tenant = draft.resource?.tenant_id ?? context.tenant_id ?? ports.tenant;
    const people = new Map<Subject, Person>();
    const copy = replaceSubjects(draft, actor, (mark, purpose, field) => {
      const identity = normalizeIdentity(Subject.identityOf(mark));
      if (!identity.ok)
        throw new AuditError('schema_invalid', `${field}: the marked person ${identity.error}`, {
          field,
        });
      // One mark may stand in several places, as different parts.
      const own = new Subject(undefined);
      people.set(own, { tenant, purpose, identity: identity.value });
      return own;
    });
    return { snapshot: { ...copy, time: copy.time ?? new Date(ports.nowMs()) }, people };
  }

  async function ask<T>(
    { snapshot, people }: Marked,
    vault: Subjects,
    next: (plain: PlainDraft) => Promise<T>,
    refuse: (error: AuditError) => Promise<T>,
  ): Promise<T> {
    let tokens: ReadonlyMap<Subject, string> | null;
    try {
      ports.check(withTokens(snapshot, () => UNRESOLVED_SUBJECT));
      const found = await vault.tokensOf([...people.values()]);
      tokens = new Map([...people.keys()].map((mark, index) => [mark, found[index] ?? '']));
    } catch (thrown) {
      const error = asAuditError(thrown);
      const policy = ports.vocabulary.actions.get(snapshot.action)?.fail_policy;
      if (error.code !== 'subject_unavailable' || policy !== 'fail_open') return refuse(error);
      ports.onUnresolved(error, snapshot.action);
      tokens = null;
    }
    return next(withTokens(snapshot, (mark) => tokens?.get(mark) ?? UNRESOLVED_SUBJECT));
  }

  function keepOpen<T>(promise: Promise<T>): Promise<T> {
    open.add(promise);
    const settled = (): void => void open.delete(promise);
    promise.then(settled, settled);
    return promise;
  }

  return {
    through: (draft, next, refuse) => {
      // What is marked for no vault is refused as what it is not: a text.
      if (subjects === undefined || typeof draft !== 'object' || draft === null)
        return next(draft as PlainDraft);
      let marked: Marked | null;
      try {
        marked = find(draft);
      } catch (thrown) {
        return refuse(asAuditError(thrown));
      }
      if (marked === null) return next(draft as PlainDraft);
      const { snapshot, people } = marked;
      const known = new Map<Subject, string>();
      for (const [mark, person] of people) {
        const token = subjects.known(person);
        if (token !== undefined) known.set(mark, token);
      }
      if (known.size === people.size)
        return next(withTokens(snapshot, (mark) => known.get(mark) ?? UNRESOLVED_SUBJECT));
      return keepOpen(ask(marked, subjects, next, refuse));
    },
    whenIdle: async () => {
      await Promise.allSettled(open);
    },
  };
}

/** Every mark has become a text. */
function withTokens(snapshot: EventDraft, tokenOf: (mark: Subject) => string): PlainDraft {
  return replaceSubjects(snapshot, snapshot.actor, tokenOf) as PlainDraft;
}
