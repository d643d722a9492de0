import { hostname } from "node:os";
import type { Connection } from "../redis/connection/connection.ts";
import { readClocks } from "../redis/inspect/clock.ts";
import type { Finding } from "./finding.ts";

/** A process of the fleet, with the time of its announcement by its own clock, ms since 1970. */
interface Announced {
  readonly host: string;
  readonly seenAt: number;
}

/** Offset of a clock from Redis's, ms; negative: behind. */
export interface ClockReading {
  readonly host: string;
  readonly aheadMs: number;
}

/**
 * Largest offset without a finding, ms. Requests do not depend on clocks; larger offsets make logs, lists and traces
 * misleading.
 */
const TOLERATED_MS = 5000;

/** Greatest age of an announcement, ms: 15 s, and more for a process that stalled. */
const AGE_MS = 30_000;

/** Compares the clocks of this machine and of the other announced hosts with Redis's. */
export async function checkClocks(
  connection: Connection,
  fleet: readonly Announced[],
): Promise<readonly Finding[]> {
  const from = Date.now();
  const clocks = await readClocks(connection);
  const to = Date.now();
  const own = hostname();
  const here = clocks.map((clock) => ({ host: own, aheadMs: -beyond(clock, from, to) }));
  const [redis = to] = clocks;
  const others = fleet
    .filter(({ host }) => host !== own)
    .map(({ host, seenAt }) => ({ host, aheadMs: beyond(seenAt, redis - AGE_MS, redis) }));
  return judgeClocks([...here, ...others]);
}

/** Distance of a time from a span: negative before it, 0 within. */
function beyond(time: number, from: number, to: number): number {
  return time < from ? time - from : Math.max(0, time - to);
}

/** One finding per machine with a wrong clock, or a single good one. */
export function judgeClocks(readings: readonly ClockReading[]): readonly Finding[] {
  const wrong = new Map(
    readings.filter(({ aheadMs }) => Math.abs(aheadMs) > TOLERATED_MS).map((it) => [it.host, it.aheadMs]),
  );
  if (wrong.size === 0) return [{ ok: true, about: "clocks", text: "all agree with Redis" }];
  return Array.from(wrong, ([host, aheadMs]) => {
    const seconds = Math.round(Math.abs(aheadMs) / 1000);
    const side = aheadMs > 0 ? "ahead of" : "behind";
    const advice = "synchronise both with NTP; until then times in logs, lists and traces mislead.";
    return {
      ok: false,
      about: "clocks",
      text: `the clock of ${host} is ${seconds} s ${side} that of Redis: ${advice}`,
    };
  });
}
