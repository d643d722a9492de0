/** Replies above this size, bytes, are read one in each turn of the event loop: 50 MB of numbers take it a second. */
export const LARGE_REPLY_BYTES: number = 1024 * 1024;

let last: Promise<void> = Promise.resolve();

/**
 * Resolves when it is this caller's turn: one in each turn of the event loop, so that timers run between two. Replies that
 * come to their ends together would else be read one after the other, and the leases of all tasks run out meanwhile.
 */
export async function ownTurn(): Promise<void> {
  last = last.then(() => new Promise((resolve) => setImmediate(resolve)));
  return last;
}
