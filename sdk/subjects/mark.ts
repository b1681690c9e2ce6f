/**
 * The mark on a value that names a person. It is an object of its own kind, so that what does not know it
 * (a serializer, a log, an Audit without a vault) cannot take the person for a text.
 */

/** A person in a draft: goes to the vault, and never into an event. */
export class Subject {
  readonly #identity: unknown;

  constructor(identity: unknown) {
    this.#identity = identity;
  }

  /** What subject() was given. */
  static identityOf(subject: Subject): unknown {
    return subject.#identity;
  }

  /** For logs of drafts. */
  toJSON(): string {
    return '[subject]';
  }

  toString(): string {
    return '[subject]';
  }
}

/**
 * Marks a value that names a person: the event will hold a random token in its place. The identity is up to 512
 * characters by which your application knows the person, the same everywhere: an e-mail address, a user id.
 * @example
 * await audit.record({
 *   action: 'customer.export',
 *   outcome: 'success',
 *   actor: { type: 'user', id: subject('alice@example.org') },
 *   resource: { type: 'customer', id: subject('bob@example.org') },
 *   metadata: { approved_by: subject('carol@example.org') },
 * });
 */
export function subject(identity: string): Subject {
  return new Subject(identity);
}
