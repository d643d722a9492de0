import { availableParallelism } from "node:os";

/**
 * How many gateway processes the setting means.
 *
 * @param given `auto` or a number
 * @param share of this machine's processors that `auto` may fill
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
