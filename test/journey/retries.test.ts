import assert from "node:assert/strict";
import { type StandIn, startStandIn } from "../rig/backends/stand-in.ts";
import { allDone, askAll, Asked, assertAnswered, assertRefused, WAYS } from "../rig/fleet/asked.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

const TOKENS = 5;

/** A circuit is probed each 12.5 s at least; the rest is for a loaded machine. */
const MENDED_MS = 120_000;

/** Between requests that look for a mended backend, ms: without a pause they would fill the processors. */
const PAUSE_MS = 250;

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
    // The machine decides how soon the bad one has had its five.
    const asked: Asked[] = [];
    await until("refusals that open the circuit", async () => {
      asked.push(...ask(fleet, 20));
      await allDone(asked);
      return refusals(bad) >= 5;
    });
    asked.push(...ask(fleet, 100));
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    t.diagnostic(`${refusals(bad)} of ${asked.length} requests hit the bad backend`);
    // Five open the circuit, three more may be on their way; then one at a time, less and less often.
    assert.ok(refusals(bad) <= 25, `${refusals(bad)} hits`);
    bad.behaviour.refuse = undefined;
    const mendedAt = performance.now();
    await until(
      "an answer of the mended backend",
      async () => {
        await allDone(ask(fleet, 4));
        return bad.requests.some(({ outcome }) => outcome === "finished");
      },
      MENDED_MS,
      PAUSE_MS,
    );
    t.diagnostic(`it answers ${Math.round(performance.now() - mendedAt)} ms after it was mended`);
  },
);

journey(
  "the last backend is tried with pauses by its worker, and used as soon as that is answered",
  { posts: [{ slots: 4 }] },
  async (fleet, t) => {
    const { standIn } = fleet.post(0);
    standIn.behaviour.refuse = BROKEN;
    await allDone(ask(fleet, 5));
    await until("a circuit that is not closed", () => /fails again and again/.test(fleet.story));
    standIn.behaviour.refuse = undefined;
    standIn.behaviour.tokenMs = 20;
    const long = new Asked(fleet.gateway, { way: "openai-chat", stream: true, tokens: 5000 });
    const others = ask(fleet, 3);
    await allDone(others);
    for (const one of others) assertAnswered(one);
    const longest = Math.max(...others.map(({ totalMs }) => totalMs));
    t.diagnostic(`others took ${Math.round(longest)} ms beside an answer of 100 s`);
    await until("the long one", () => long.tokens > 0);
    assert.equal(long.over, false);
    long.leave();
    await long.done;
    const messages = fleet.post(0).worker.story.matchAll(/"message":"backend (fails again|gets one|serves)/g);
    assert.deepEqual(
      Array.from(messages, ([, told]) => told),
      ["fails again", "serves"],
      "each change of its circuit is told once",
    );
  },
);

journey(
  "a probe that the backend refuses, as it does not offer this, tells that it works",
  { posts: [{ speaks: "openai", models: ["tiny"] }] },
  async (fleet) => {
    const { standIn, worker } = fleet.post(0);
    standIn.behaviour.refuse = BROKEN;
    await allDone(ask(fleet, 5));
    assert.match(worker.story, /fails again and again/);
    standIn.behaviour.refuse = { status: 501, message: "not here" };
    const [probe = assert.fail()] = ask(fleet, 1);
    await probe.done;
    assertRefused(probe, 501);
    await until("a closed circuit", () => worker.story.includes("serves the model as it should again"));
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
    const longest = Math.max(...asked.map(({ totalMs }) => totalMs));
    t.diagnostic(`256 answered in ${Math.round(longest)} ms, 503 was met ${refused.join(" and ")} times`);
    assert.ok(Math.max(...refused) < 64, `${refused.join(" and ")} refusals`);
    assert.doesNotMatch(fleet.story, /fails again and again/);
  },
);

journey(
  "a killed backend with streams that have not begun loses none of them, and is used again when it is back",
  { posts: [{ slots: 20 }, { slots: 20 }] },
  async (fleet, t) => {
    const [lost, kept] = fleet.posts.map(({ standIn }) => standIn);
    assert.ok(lost !== undefined && kept !== undefined);
    lost.behaviour.firstTokenMs = 600_000;
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    kept.behaviour.gate = gate;
    const asked = ask(fleet, 40);
    await Promise.all([lost, kept].map((standIn) => standIn.waitFor("request", 20)));
    const { port } = lost;
    await lost.stop();
    open();
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    assert.equal(kept.requests.length, 40);
    const back = await startStandIn({ speaks: "ollama", port });
    const backAt = performance.now();
    try {
      await until(
        "a request to the backend that is back",
        async () => {
          await allDone(ask(fleet, 4));
          return back.requests.length > 0;
        },
        MENDED_MS,
        PAUSE_MS,
      );
      t.diagnostic(`it is used ${Math.round(performance.now() - backAt)} ms after it is back`);
    } finally {
      await back.stop();
    }
  },
);

journey(
  "a backend that hangs before the first token fails no stream that another one can answer",
  { posts: [{ slots: 4 }, { slots: 4 }], env: { SGNET_FIRST_TOKEN_TIMEOUT_MS: "5000" } },
  async (fleet, t) => {
    const hung = fleet.post(0).standIn;
    hung.behaviour.hangAfter = 0;
    const asked = ask(fleet, 100);
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    const longest = Math.max(...asked.map(({ totalMs }) => totalMs));
    t.diagnostic(`${hung.requests.length} of 100 hung; the longest took ${Math.round(longest)} ms`);
    assert.ok(hung.requests.length <= 12, `${hung.requests.length} requests hung`);
  },
);

journey(
  "an answer in one piece that breaks off is made again elsewhere: nothing of it was told",
  { posts: [{ slots: 4 }, { slots: 4 }] },
  async (fleet) => {
    const [first, second] = fleet.posts.map(({ standIn }) => standIn);
    assert.ok(first !== undefined && second !== undefined);
    first.behaviour.dieAfter = 3;
    const asked: Asked[] = [];
    await until("an answer that breaks off", async () => {
      asked.push(...ask(fleet, 12, false));
      await allDone(asked);
      return first.requests.length > 0;
    });
    for (const one of asked) assertAnswered(one);
    assert.equal(second.requests.length, asked.length);
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
    standIn.behaviour.refuse = undefined;
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    const [refused = assert.fail()] = standIn.requests;
    const next = standIn.requests.find(({ outcome }) => outcome === "finished") ?? assert.fail();
    const waited = next.startedAt - refused.endedAt;
    assert.ok(waited > 1900, `asked again after ${Math.round(waited)} ms`);
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
    const runs = standIns.reduce((sum, { requests }) => sum + requests.length, 0);
    assert.ok(runs > asked.length && runs <= 2 * asked.length, `${runs} runs of ${asked.length} requests`);
  },
);
