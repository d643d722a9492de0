import { availableParallelism } from "node:os";

/**
 * The number of gateway processes.
 *
 * @param given `auto` or a number
 * @param share share of the CPU cores that `auto` may use
 * @throws Error with a sentence for people, where several processes cannot share a port
 */
export function processCount(given: string, share = 1): number {
  const shared = process.platform === "linux";
  if (given === "auto") return shared ? Math.max(1, Math.floor(availableParallelism() * share)) : 1;
  const count = Number(given);
  if (count > 1 && !shared) {
    throw new Error("Several gateway processes can share a port on Linux only: leave out --processes.");
  }
  return count;
}
