import { inspect } from "node:util";

const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError];

/** What a person is told about a failed command: its message alone, unless it looks like a bug of ours. */
export function explain(thrown: unknown): string {
  if (!(thrown instanceof Error)) return inspect(thrown);
  if (BUGS.some((Bug) => thrown instanceof Bug)) return inspect(thrown);
  return thrown.message;
}
