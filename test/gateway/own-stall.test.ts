import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Task } from "../../src/core/task.ts";
import { lostFault } from "../../src/gateway/requests/lost-fault.ts";
import { Watchdog } from "../../src/gateway/requests/watchdog.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { until } from "../rig/until.ts";
import { exchangeOf } from "./exchange-rig.ts";

let watchdog: Watchdog | undefined;

afterEach(() => watchdog?.stop());

const nothing = (): void => {};

/** Ms that the gateway stood still: since a request came, and just now. */
interface Stalls {
  since: number;
  latest: number;
}

/** Replies that are looked at, with one exchange that is over its time. */
function late(
  stalls: Stalls,
  life: Pick<Task, "createdAt" | "deadline"> = { createdAt: 0, deadline: -5000 },
): { code: () => string | undefined; looks: () => number } {
  let looks = 0;
  const rig = exchangeOf("g.1", life);
  watchdog = new Watchdog({
    replies: { all: () => [rig.exchange], fill: nothing, readWanted: nothing, waitsForRoom: () => false },
    queueTimeout: { check: nothing },
    recovery: { silent: nothing },
    slowClients: { check: nothing, keepReplies: nothing },
    heartbeats: { check: nothing },
    mono: () => performance.now(),
    stalls: {
      since: () => stalls.since,
      latest: () => {
        looks += 1;
        return stalls.latest;
      },
    },
  });
  watchdog.start();
  return { code: () => rig.outcomes[0]?.fault?.code, looks: () => looks };
}

describe("a gateway that stood still", () => {
  it("judges nothing before it has read what came meanwhile", async () => {
    const stalls = { since: 0, latest: 7000 };
    const { code, looks } = late(stalls);
    await until("two looks", () => looks() >= 2);
    assert.equal(code(), undefined);
    stalls.latest = 0;
    await until("the end", () => code() !== undefined);
    assert.equal(code(), "deadline_exceeded");
  });

  it("says that it was its own fault when a request had time left for an answer", async () => {
    const { code } = late({ since: 6000, latest: 0 });
    await until("the end", () => code() !== undefined);
    assert.equal(code(), "gateway_stalled");
  });

  it("is not to blame for a stall that took little of a request's life", async () => {
    const { code } = late({ since: 150, latest: 0 }, { createdAt: 0, deadline: 1000 });
    await until("the end", () => code() !== undefined);
    assert.equal(code(), "deadline_exceeded");
  });

  it("does not say that Redis lost what workers removed because it was silent", () => {
    const startedAt = performance.now();
    const short = lostFault({ startedAt }, { since: () => 3000 }, "the answer was lost");
    assert.equal(short.code, "worker_lost");
    const long = lostFault({ startedAt }, { since: () => 20_000 }, "the answer was lost");
    assert.equal(long.code, "gateway_stalled");
    assert.match(long.message, /^this gateway stood still for 20\.0 s: the answer was lost$/);
  });
});

describe("a worker that stood still", () => {
  it("does not take that for silence of the backend", () => {
    let [now, stalled] = [0, 0];
    const outbox = new Outbox({
      task: "g.1",
      attempt: 1,
      worker: "w",
      stream: true,
      ready: () => {},
      ambient: { mono: () => now },
      awake: () => now - stalled,
    });
    const limits = { queueUntil: 0, connectMs: 1000, firstTokenMs: 3000, idleMs: 3000 };
    outbox.progress.sent();
    now += 10_000;
    stalled += 9000;
    assert.equal(outbox.progress.check(limits), undefined);
    now += 2000;
    assert.equal(outbox.progress.check(limits)?.code, "first_token_timeout");
  });
});
