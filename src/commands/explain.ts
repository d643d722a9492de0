import { inspect } from "node:util";

const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError];

/**
 * The text for people about a failed command: the message alone, or the whole error when it looks like a bug of this
 * program.
 */
export function explain(thrown: unknown): string {
  if (!(thrown instanceof Error)) return inspect(thrown);
  if (BUGS.some((Bug) => thrown instanceof Bug)) return inspect(thrown);
  return thrown.message;
}
