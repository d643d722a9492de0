import { setTimeout as delay } from "node:timers/promises";

/** Pause between two checks, ms. It grows, as many checks fetch all metrics of a gateway. */
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 50;
/** Longer than anything takes on the slowest machine, ms. */
const LIMIT_MS = 60_000;

/**
 * Checks a condition again and again until it is true, and returns its value. A fast machine waits briefly, and a
 * loaded one is not judged. Rejects after `limitMs` with the name of the condition.
 */
export async function until<Found>(
  what: string,
  look: () => Found | Promise<Found>,
  limitMs: number = LIMIT_MS,
  firstPauseMs: number = FIRST_PAUSE_MS,
): Promise<Exclude<Found, undefined | false | null>> {
  const giveUp = performance.now() + limitMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.max(firstPauseMs, Math.min(pauseMs + 1, LAST_PAUSE_MS))) {
    const found = await look();
    if (found !== undefined && found !== false && found !== null) {
      return found as Exclude<Found, undefined | false | null>;
    }
    if (performance.now() > giveUp) throw new Error(`${what}: not seen in ${limitMs / 1000} s`);
    await delay(pauseMs);
  }
}
