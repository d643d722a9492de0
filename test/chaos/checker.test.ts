import assert from "node:assert/strict";
import test from "node:test";
import { judge } from "./checker.ts";
import { GOOD } from "./good.ts";
import type { Asked, BackendRun, Disturbance, History } from "./history.ts";

const RUN: BackendRun = {
  id: GOOD.wish.id,
  startedAt: 100_010,
  endedAt: 100_190,
  outcome: "finished",
  tokens: 10,
};

const KILL: Disturbance = { fault: "worker-kill", target: 0, from: 100_060, to: 100_100 };

function rulesOf(asked: Partial<Asked>, more: Partial<History> = {}): string[] {
  const history: History = {
    asked: [{ ...GOOD, ...asked }],
    runs: [RUN],
    disturbances: [],
    calmAt: 110_000,
    leaks: [],
    memory: [],
    ...more,
  };
  return judge(history).map(({ rule }) => rule);
}

test("a history in which all went well has no breach", () => {
  assert.deepEqual(rulesOf({}), []);
  assert.deepEqual(rulesOf({ ending: "left", tokens: 3 }), []);
});

test("wrong tokens, half answers and silent ends are breaches, whatever was broken", () => {
  const disturbances = [KILL];
  assert.deepEqual(rulesOf({ deviation: "c2-1/3 instead of token 3" }, { disturbances }), ["a wrong token"]);
  assert.deepEqual(rulesOf({ tokens: 9 }, { disturbances }), ["an incomplete answer that looks complete"]);
  assert.deepEqual(rulesOf({ ending: "silent", tokens: 9 }, { disturbances }), [
    "a broken stream that ended as if well",
  ]);
  const open = { ending: undefined, endedAt: Number.POSITIVE_INFINITY };
  assert.deepEqual(rulesOf(open, { disturbances }), ["a request that never ended"]);
});

test("an error needs a cause of its kind", () => {
  const failed = { ending: "error", code: "worker_lost" } as const;
  const uncaused = ["an error without a cause"];
  assert.deepEqual(rulesOf(failed), uncaused);
  assert.deepEqual(rulesOf(failed, { disturbances: [KILL] }), []);
  assert.deepEqual(rulesOf(failed, { disturbances: [{ ...KILL, fault: "backend-kill" }] }), uncaused);
  assert.deepEqual(rulesOf(failed, { disturbances: [{ ...KILL, from: 0, to: 10 }] }), uncaused);
  assert.deepEqual(rulesOf({ ...failed, code: "deadline_exceeded" }, { disturbances: [KILL] }), uncaused);
  const gateway = { ...KILL, fault: "gateway-kill" };
  assert.deepEqual(rulesOf({ ending: "broken" }, { disturbances: [gateway] }), []);
  const freeze = { disturbances: [{ ...KILL, fault: "gateway-freeze" }] };
  assert.deepEqual(rulesOf({ ending: "broken" }, freeze), uncaused);
  assert.deepEqual(rulesOf({ ending: "broken", status: 0 }, freeze), uncaused);
  assert.deepEqual(rulesOf({ ending: "broken", status: 0, reused: true }, freeze), []);
  assert.deepEqual(rulesOf({ ending: "broken", seat: 1 }, { disturbances: [gateway] }), uncaused);
});

const by = (fault: Partial<Disturbance>): Partial<History> => ({ disturbances: [{ ...KILL, ...fault }] });

test("a refusal is excused by its own words, gateway and time only", () => {
  const refused = {
    ending: "error",
    code: undefined,
    status: 503,
    detail: "Redis is not reachable",
  } as const;
  const uncaused = ["an error without a cause"];
  assert.deepEqual(rulesOf(refused, by({ fault: "gateway-cut" })), []);
  assert.deepEqual(rulesOf(refused, by({ fault: "gateway-cut", target: 1 })), uncaused);
  assert.deepEqual(rulesOf(refused, by({ fault: "gateway-kill" })), uncaused);
  assert.deepEqual(rulesOf({ ...refused, detail: "busy" }, by({ fault: "gateway-cut" })), uncaused);
  assert.deepEqual(rulesOf(refused, by({ fault: "redis-kill", from: 0, to: 99_000 })), []);
  assert.deepEqual(rulesOf(refused, by({ fault: "redis-kill", from: 0, to: 95_000 })), uncaused);
  assert.deepEqual(rulesOf(refused, by({ fault: "master-kill", from: 0, to: 95_000 })), []);
});

test("backends do no more than they must", () => {
  const again = { ...RUN, startedAt: 100_020 };
  assert.deepEqual(rulesOf({}, { runs: [RUN, again] }), ["more runs than faults"]);
  assert.deepEqual(rulesOf({}, { runs: [RUN, again], disturbances: [KILL] }), []);
  assert.deepEqual(rulesOf({}, { runs: [RUN, { ...again, startedAt: 100_060 }], disturbances: [KILL] }), [
    "run again after its answer had begun",
  ]);
  for (const fault of ["master-change", "redis-power"]) {
    const lossy = { disturbances: [{ ...KILL, fault }] };
    assert.deepEqual(rulesOf({}, { runs: [RUN, { ...again, startedAt: 100_060 }], ...lossy }), []);
    assert.deepEqual(rulesOf({}, { runs: [RUN, { ...again, startedAt: 100_201 }], ...lossy }), [
      "run again after its answer",
    ]);
  }
  const left = { ending: "left" } as const;
  assert.deepEqual(rulesOf(left, { runs: [{ ...RUN, endedAt: 109_000 }] }), ["work for nobody"]);
  assert.deepEqual(rulesOf(left, { runs: [{ ...RUN, endedAt: Number.POSITIVE_INFINITY }] }), [
    "work for nobody",
  ]);
  const long = { ...KILL, to: 105_000 };
  assert.deepEqual(rulesOf(left, { runs: [{ ...RUN, endedAt: 109_000 }], disturbances: [long] }), []);
});

test("a fault after its client's end may run the task of a killed gateway again, and no other", () => {
  const gateway = { ...KILL, fault: "gateway-kill", from: 100_020, to: 100_050 };
  const later = { ...KILL, from: 103_000, to: 103_100 };
  const runs = [RUN, { ...RUN, startedAt: 104_000, endedAt: 104_100 }];
  const broken = { ending: "broken", endedAt: 100_060, firstTokenAt: undefined } as const;
  const many = ["more runs than faults"];
  assert.deepEqual(rulesOf(broken, { runs, disturbances: [gateway, later] }), []);
  assert.deepEqual(rulesOf(broken, { runs, disturbances: [gateway] }), many);
  const tooLate = { ...later, from: 105_000, to: 105_100 };
  assert.deepEqual(rulesOf(broken, { runs, disturbances: [gateway, tooLate] }), many);
  const other = { ...gateway, target: 1 };
  assert.ok(rulesOf(broken, { runs, disturbances: [other, later] }).includes("more runs than faults"));
  const left = { ...broken, ending: "left" } as const;
  assert.deepEqual(rulesOf(left, { runs, disturbances: [gateway, later] }), many);
});

test("what is left at the end, and large processes, are breaches", () => {
  assert.deepEqual(rulesOf({}, { leaks: ["3 tokens in sgnet:t:{d}:tiny:p0"] }), ["something is left"]);
  const memory = [{ name: "gateway 1", bytes: 2 ** 30 }];
  assert.deepEqual(rulesOf({}, { memory }), ["too much memory"]);
});
