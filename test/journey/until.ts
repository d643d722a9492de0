import { setTimeout as delay } from "node:timers/promises";

/** Between two looks: short at first, longer when it has taken long, as many a look asks a gateway for all its metrics. */
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 50;
/** Judges nobody: what takes longer on the slowest machine hangs. */
const LIMIT_MS = 60_000;

/**
 * Looks again and again until something is true, and gives it; the wait ends with the condition, so that a fast
 * machine is fast and a loaded one is not judged. Rejects after `limitMs` with what was waited for.
 */
export async function until<Found>(
  what: string,
  look: () => Found | Promise<Found>,
  limitMs: number = LIMIT_MS,
): Promise<Exclude<Found, undefined | false | null>> {
  const giveUp = performance.now() + limitMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs + 1, LAST_PAUSE_MS)) {
    const found = await look();
    if (found !== undefined && found !== false && found !== null) {
      return found as Exclude<Found, undefined | false | null>;
    }
    if (performance.now() > giveUp) throw new Error(`${what}: not seen in ${limitMs / 1000} s`);
    await delay(pauseMs);
  }
}
