import { MOST_NOTES } from "../../core/attempt-note.ts";
import type { AttemptNote } from "../../core/attempt-note.ts";

/** Notes of the attempts at one request that failed before the last one. Few requests have any. */
export class EarlierAttempts {
  readonly #notes = new Map<number, AttemptNote>();

  /** @param mark number of the mark that fenced the attempt; the same note may come from the channel and the stream */
  add(mark: number, note: AttemptNote): void {
    if (this.#notes.size < MOST_NOTES) this.#notes.set(mark, note);
  }

  /** The oldest first. */
  list(): readonly AttemptNote[] {
    return [...this.#notes].toSorted(([a], [b]) => a - b).map(([, note]) => note);
  }
}
