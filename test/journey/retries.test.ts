import assert from "node:assert/strict";
import type { StandIn } from "../stand-in.ts";
import { allDone, askAll, Asked, assertAnswered, assertRefused, WAYS } from "./asked.ts";
import { type Fleet, journey } from "./fleet.ts";
import { until } from "./until.ts";

const TOKENS = 5;

function ask(fleet: Fleet, count: number, stream = true): readonly Asked[] {
  return Array.from({ length: count }, () => {
    return new Asked(fleet.gateway, { way: "openai-chat", stream, tokens: TOKENS });
  });
}

function refusals({ requests }: StandIn): number {
  return requests.filter(({ outcome }) => outcome === "refused").length;
}

const BROKEN = { status: 500, message: "the runner has terminated" };
const BUSY = { status: 429, message: "slow down" };

journey(
  "a backend that answers 500 fails no request that another one can answer, and gets few of them",
  { posts: [{ slots: 4 }, { slots: 4 }] },
  async (fleet, t) => {
    const bad = fleet.post(0).standIn;
    bad.behaviour.refuse = BROKEN;
    const asked = ask(fleet, 100);
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    t.diagnostic(`${refusals(bad)} of ${asked.length} requests hit the bad backend`);
    assert.ok(refusals(bad) >= 5 && refusals(bad) <= 12, `${refusals(bad)} hits`);
    bad.behaviour.refuse = undefined;
    const mendedAt = performance.now();
    await until("an answer of the mended backend", async () => {
      await allDone(ask(fleet, 4));
      return bad.requests.some(({ outcome }) => outcome === "finished");
    });
    t.diagnostic(`it answers ${Math.round(performance.now() - mendedAt)} ms after it was mended`);
  },
);

journey(
  "full backends are given what they take: nobody is refused, and no circuit opens",
  { posts: [{ slots: 16 }, { slots: 16 }] },
  async (fleet, t) => {
    const standIns = fleet.posts.map(({ standIn }) => standIn);
    for (const { behaviour } of standIns) Object.assign(behaviour, { capacity: 4, firstTokenMs: 30 });
    const asked = ask(fleet, 256);
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    const refused = standIns.map((standIn) => refusals(standIn));
    t.diagnostic(`256 answered, 503 was met ${refused.join(" and ")} times`);
    assert.ok(Math.max(...refused) < 64, `${refused.join(" and ")} refusals`);
    assert.doesNotMatch(fleet.story, /fails again and again/);
  },
);

journey(
  "a killed backend with streams that have not begun loses none of them, and is used again when it is back",
  { posts: [{ slots: 20 }, { slots: 20 }] },
  async (fleet) => {
    const standIns = fleet.posts.map(({ standIn }) => standIn);
    const [lost, kept] = standIns;
    assert.ok(lost !== undefined && kept !== undefined);
    for (const { behaviour } of standIns) behaviour.firstTokenMs = 60_000;
    const asked = ask(fleet, 40);
    await Promise.all(standIns.map((standIn) => standIn.waitFor("request", 20)));
    kept.behaviour.firstTokenMs = 0;
    await lost.stop();
    // Those that run already keep their slots.
    const later = await fleet.addPost({ slots: 20 });
    await until("twenty answers", () => later.standIn.requests.length + kept.requests.length === 40);
    assert.equal(kept.running, 20);
    kept.events.removeAllListeners();
    assert.equal(asked.filter(({ error }) => error !== undefined).length, 0);
    for (const one of asked) one.leave();
    await allDone(asked);
  },
);

journey(
  "a busy backend that is the only one is asked again when it wants",
  { posts: [{ slots: 2 }] },
  async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.refuse = { ...BUSY, retryAfter: 2 };
    const asked = [...ask(fleet, 2), ...ask(fleet, 2, false)];
    await standIn.waitFor("refused", 2);
    const refusedAt = performance.now();
    standIn.behaviour.refuse = undefined;
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    const first = Math.min(...asked.map(({ endedAt }) => endedAt));
    assert.ok(first - refusedAt > 1900, `asked again after ${Math.round(first - refusedAt)} ms`);
  },
);

journey(
  "what a backend that stays busy said last is told with its status",
  { env: { SGNET_BUSY_LIMIT: "3" } },
  async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.refuse = BUSY;
    const [asked] = ask(fleet, 1, false);
    assert.ok(asked);
    await asked.done;
    assertRefused(asked, 429);
    assert.match(String(asked.error), /slow down/);
    assert.equal(standIn.requests.length, 3);
  },
);

journey(
  "a request that every backend answers 500 to is run twice, not oftener",
  { posts: [{}, {}, {}] },
  async (fleet) => {
    const standIns = fleet.posts.map(({ standIn }) => standIn);
    for (const { behaviour } of standIns) behaviour.refuse = BROKEN;
    const asked = askAll(fleet.gateway, WAYS, { stream: true, tokens: TOKENS });
    await allDone(asked);
    for (const one of asked) {
      assertRefused(one, 500);
      assert.match(String(one.error), /terminated/);
    }
    const runs = standIns.map(({ requests }) => requests.length);
    assert.equal(
      runs.reduce((sum, count) => sum + count),
      2 * asked.length,
    );
  },
);
