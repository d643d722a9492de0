import assert from "node:assert/strict";
import test from "node:test";
import { GOOD } from "./good.ts";
import type { Asked, Disturbance, History } from "./history.ts";
import { summaryOf, talliesOf } from "./report.ts";

function answer(seat: number, endedAt: number): Asked {
  return { ...GOOD, seat, sentAt: endedAt - 50, endedAt };
}

/** Both gateways answer at these moments, ms. */
function answered(...at: readonly number[]): Asked[] {
  return at.flatMap((endedAt) => [answer(0, endedAt), answer(1, endedAt)]);
}

function historyOf(asked: readonly Asked[], ...disturbances: readonly Disturbance[]): History {
  return { asked, runs: [], disturbances, calmAt: 9999, leaks: [], memory: [] };
}

const KILL: Disturbance = { fault: "redis-kill", target: 0, from: 1000, to: 3000 };

test("the longest time without an answer began while the fault lasted, and may end after it", () => {
  const [tally] = talliesOf(historyOf(answered(900, 1100, 3700, 9000), KILL));
  assert.equal(tally?.silenceMs, 2600);
  assert.equal(tally?.recoveryMs, 700);
});

test("no request waits for the return of a master: all that follows its loss is its recovery", () => {
  const master = { ...KILL, fault: "master-kill", to: 1500 };
  const [tally] = talliesOf(historyOf(answered(1100, 2000, 6500, 6600), master));
  assert.equal(tally?.recoveryMs, 4500);
});

test("a gateway that stands still after a master is back, while its loss is felt, does not count for it", () => {
  const master = { ...KILL, fault: "master-kill", to: 1500 };
  const away = { fault: "gateway-away", target: 1, from: 2000, to: 18_000 };
  const asked = [answer(0, 1100), answer(0, 4000), answer(1, 1900), answer(1, 18_100)];
  const [, tally] = talliesOf(historyOf(asked, master, away));
  assert.deepEqual([tally?.fault, tally?.recoveryMs], ["master-kill", 2900]);
});

test("runs are summed up: times and requests, the longest of the times, errors by code", () => {
  const refused: Asked = {
    ...GOOD,
    sentAt: 1500,
    endedAt: 1600,
    ending: "error",
    code: undefined,
    status: 503,
    detail: "Redis is not reachable",
  };
  const one = talliesOf(historyOf([...answered(2000, 4000), refused], KILL));
  const two = talliesOf(
    historyOf([...answered(3100), refused, { ...refused, code: "worker_lost" }], KILL, {
      ...KILL,
      fault: "redis-clock",
    }),
  );
  assert.deepEqual(summaryOf([...one, ...two]).split("\n"), [
    "| fault | times | requests | run again | no answer for, s | recovery, s | errors |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    "| `redis-clock` | 1 | 2 | 0 | 2.1 | 0.1 | `redis_down` 1, `worker_lost` 1 |",
    "| `redis-kill` | 2 | 5 | 0 | 2.1 | 1.0 | `redis_down` 2, `worker_lost` 1 |",
  ]);
});
