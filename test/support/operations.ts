/** Operations on files by their names. Which comes after which of those that are under way together, differs from run to run. */
export interface NamedPlace {
  readonly name: string;
  /** Among those of its name, from 0. */
  readonly nth: number;
}

/** How many operations have this name. */
export const countOf = (operations: readonly string[], name: string): number =>
  operations.filter((one) => one === name).length;

/** Where each stands among those of its name. */
export const placesOf = (operations: readonly string[]): readonly NamedPlace[] =>
  operations.map((name, at) => ({ name, nth: countOf(operations.slice(0, at), name) }));
