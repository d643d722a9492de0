import assert from "node:assert/strict";
import { asEntries } from "../../src/redis/connection/resp.ts";
import { openStores } from "../../src/redis/stores.ts";
import {
  allDone,
  askAll,
  Asked,
  assertAnswered,
  assertDefinite,
  assertRefused,
  WAYS,
} from "../rig/fleet/asked.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";

const SLOTS = 8;

/** Tokens of an answer that goes on until it is let run. */
const LONG = 1000;

interface Work {
  readonly begun: readonly Asked[];
  readonly whole: readonly Asked[];
  /** For which there is no slot. */
  readonly queued: readonly Asked[];
}

async function giveWork(fleet: Fleet): Promise<Work> {
  const { standIn } = fleet.post();
  standIn.behaviour.tokenMs = 25;
  const begun = askAll(fleet.gateway, WAYS, { stream: true, tokens: LONG });
  const whole = askAll(fleet.gateway, WAYS, { stream: false, tokens: LONG });
  const more = askAll(fleet.gateway, ["ollama-chat", "openai-chat"], { stream: true, tokens: LONG });
  await standIn.waitFor("request", SLOTS);
  await until("tokens", () => [...begun, ...more].every((one) => one.tokens > 2));
  const queued = askAll(fleet.gateway, WAYS, { stream: true, tokens: 10 });
  await until("queued tasks", async () => {
    const open = Number(await fleet.probe.command("XLEN", fleet.keys.queue("tiny")));
    return open === SLOTS + queued.length;
  });
  return { begun: [...begun, ...more], whole, queued };
}

const all = ({ begun, whole, queued }: Work): readonly Asked[] => [...begun, ...whole, ...queued];

async function readiness(gateway: Program): Promise<number> {
  const response = await fetch(`${gateway.url}/readyz?strict`);
  await response.text();
  return response.status;
}

/** Requests that were refused because Redis is away. */
async function refusals(gateway: Program): Promise<number> {
  const page = await (await fetch(`${gateway.url}/metrics`)).text();
  const counts = page.matchAll(/^sgnet_requests_rejected_total\{.*code="redis_down".*\} (\d+)$/gm);
  return Array.from(counts, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
}

/**
 * Checks the errors of new requests while Redis is away, with the time to try again. Redis comes back only after all of
 * them. Another test covers how long the outage buffer holds the first ones.
 */
async function assertTurnedAway(gateway: Program): Promise<void> {
  await until("not ready", async () => (await readiness(gateway)) === 503);
  const lenient = await fetch(`${gateway.url}/readyz`);
  assert.equal(lenient.status, 200, "a load balancer would answer in its place");
  assert.match(await lenient.text(), /^ready, though Redis is not reachable/);
  const before = await refusals(gateway);
  for (const way of WAYS) {
    const asked = new Asked(gateway, { way, stream: true, tokens: 5 });
    await asked.done;
    assertRefused(asked, 503);
  }
  for (const path of ["/api/chat", "/v1/chat/completions"]) {
    const messages = [{ role: "user", content: "hello" }];
    const response = await fetch(gateway.url + path, {
      method: "POST",
      body: JSON.stringify({ model: "tiny", messages }),
    });
    const body = (await response.json()) as { error: unknown };
    assert.equal(response.status, 503);
    assert.match(response.headers.get("retry-after") ?? "", /^\d+$/);
    assert.equal(typeof body.error, path.startsWith("/v1") ? "object" : "string");
  }
  assert.equal((await refusals(gateway)) - before, WAYS.length + 2, "at the door, not as tasks");
}

/** Both dialects are served again, by the processes that were there before. */
async function assertServed(fleet: Fleet): Promise<void> {
  await until("ready", async () => (await readiness(fleet.gateway)) === 200);
  Object.assign(fleet.post().standIn.behaviour, { tokenMs: 0 });
  await fleet.known();
  const again = [
    ...askAll(fleet.gateway, WAYS, { stream: true, tokens: 30 }),
    ...askAll(fleet.gateway, WAYS, { stream: false, tokens: 30 }),
  ];
  await allDone(again);
  for (const one of again) assertAnswered(one);
}

const POSTS = { posts: [{ slots: SLOTS }] };

journey("a Redis that is killed and comes back costs no request", POSTS, async (fleet) => {
  const work = await giveWork(fleet);
  const tokens = (): number =>
    fleet.post().standIn.requests.reduce((sum, { tokens: count }) => sum + count, 0);
  await fleet.redis.kill();
  const before = tokens();
  await assertTurnedAway(fleet.gateway);
  // About a second: the backend goes on meanwhile.
  await until("tokens during the outage", () => tokens() - before > SLOTS * 40);
  await fleet.redis.startAgain({ empty: false });
  fleet.post().standIn.behaviour.tokenMs = 1;
  await allDone(all(work));
  for (const one of all(work)) assertAnswered(one);
  assert.equal(fleet.post().standIn.requests.length, all(work).length, "no task ran twice");
  await assertServed(fleet);
});

journey(
  "a Redis that comes back without its data: every request ends, new ones are served",
  POSTS,
  async (fleet, t) => {
    const work = await giveWork(fleet);
    await fleet.redis.kill();
    await assertTurnedAway(fleet.gateway);
    await fleet.redis.startAgain({ empty: true });
    fleet.post().standIn.behaviour.tokenMs = 1;
    await allDone(all(work));
    for (const one of all(work)) assertDefinite(one);
    const answered = all(work).filter((one) => one.error === undefined).length;
    t.diagnostic(`${answered} of ${all(work).length} requests were answered`);
    await assertServed(fleet);
  },
);

journey(
  "an answer that goes on although Redis lost its task is whole, and nobody makes it anew",
  { posts: [{ slots: 1 }] },
  async (fleet) => {
    const { standIn } = fleet.post();
    const [go, alsoGo] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    Object.assign(standIn.behaviour, { gate: go.promise, tokenMs: 20 });
    const asked = new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: LONG });
    await standIn.waitFor("request");
    const queue = fleet.keys.queue("tiny");
    const entries = async (): Promise<readonly string[]> =>
      asEntries(await fleet.probe.command("XRANGE", queue, "-", "+")).map(({ id }) => id);
    const [lost = ""] = await entries();
    await fleet.probe.command("XDEL", queue, lost);
    await fleet.probe.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await until("the task in the queue again", async () => (await entries()).length === 1);

    const other = await fleet.addPost({ slots: 1, gate: alsoGo.promise, tokenMs: 20 });
    await other.standIn.waitFor("request");
    go.resolve();
    await until("tokens", () => asked.tokens > 2);
    alsoGo.resolve();
    await other.standIn.waitFor("aborted");
    standIn.behaviour.tokenMs = 0;
    await asked.done;
    assertAnswered(asked);
    await fleet.settled();
  },
);

journey(
  "a task that Redis lost, and that was answered all the same, is nobody's any more",
  { posts: [{ slots: 1 }] },
  async (fleet) => {
    const { standIn } = fleet.post();
    const go = Promise.withResolvers<void>();
    standIn.behaviour.gate = go.promise;
    const asked = new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: 5 });
    await standIn.waitFor("request");
    const queue = fleet.keys.queue("tiny");
    await fleet.probe.command("XTRIM", queue, "MAXLEN", "0");
    await fleet.probe.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await until("the task in the queue again", async () => (await fleet.probe.command("XLEN", queue)) === 1);
    const [worker] = await openStores(fleet.probe, fleet.keys).registry.listWorkers();
    await openStores(fleet.probe, fleet.keys).control.drain(worker?.id ?? "", "drain");
    await until("a worker that takes nothing more", async () => {
      return (await openStores(fleet.probe, fleet.keys).registry.listWorkers()).every(
        ({ draining }) => draining,
      );
    });
    go.resolve();
    await asked.done;
    assertAnswered(asked);
    await fleet.settled();
    assert.equal(standIn.requests.length, 1);
  },
);
