/** Lists that came from outside, of any length: as the arguments of one call they would fill the stack. */

/** Appends what is in `items`. */
export function append<T>(list: T[], items: Iterable<T>): void {
  for (const item of items) list.push(item);
}

/** The greatest number; -Infinity of none. */
export function greatest(numbers: Iterable<number>): number {
  let most = -Infinity;
  for (const number of numbers) most = Math.max(most, number);
  return most;
}

/** The least number; Infinity of none. */
export function least(numbers: Iterable<number>): number {
  let fewest = Infinity;
  for (const number of numbers) fewest = Math.min(fewest, number);
  return fewest;
}
