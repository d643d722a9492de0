import { hostname } from "node:os";
import type { Connection } from "../redis/connection.ts";
import { readClocks } from "../redis/clock.ts";
import type { Finding } from "./finding.ts";

/** A process that announces itself, and when it did so by its own clock, ms since 1970. */
interface Announced {
  readonly host: string;
  readonly seenAt: number;
}

/** A clock and how far it is ahead of Redis's, ms; below zero: behind. */
export interface ClockReading {
  readonly host: string;
  readonly aheadMs: number;
}

/** No request ends by a clock that is wrong, but who reads logs, lists and traces is misled from here on. */
const TOLERATED_MS = 5000;

/** An announcement is as old as this before it is forgotten, and a process that stood still for a while later yet. */
const AGE_MS = 30_000;

/** Compares the clock of this machine, and those of the fleet's others as they told them, with Redis's. */
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

/** How far a time is outside a span: below zero before it, 0 within. */
function beyond(time: number, from: number, to: number): number {
  return time < from ? time - from : Math.max(0, time - to);
}

/** One line for every machine whose clock is wrong, or one for all. */
export function judgeClocks(readings: readonly ClockReading[]): readonly Finding[] {
  const wrong = new Map(
    readings.filter(({ aheadMs }) => Math.abs(aheadMs) > TOLERATED_MS).map((it) => [it.host, it.aheadMs]),
  );
  if (wrong.size === 0) return [{ ok: true, about: "clocks", text: "they agree with Redis's" }];
  return Array.from(wrong, ([host, aheadMs]) => {
    const seconds = Math.round(Math.abs(aheadMs) / 1000);
    const side = aheadMs > 0 ? "ahead of" : "behind";
    const advice = "let NTP set both, or times in logs, lists and traces mislead.";
    return { ok: false, about: "clocks", text: `that of ${host} is ${seconds} s ${side} Redis's: ${advice}` };
  });
}
