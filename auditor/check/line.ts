/** What a check says, line by line. Types alone. */

/** One thing that was looked at. */
export interface CheckLine {
  readonly what: string;
  /** `open`: it could not be judged. */
  readonly state: 'ok' | 'failed' | 'open';
  readonly text: string;
  /** The row that is wrong, from 1. */
  readonly row?: number;
}

/** Takes a line. */
export type Tell = (line: CheckLine) => void;
