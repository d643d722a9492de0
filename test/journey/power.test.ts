import assert from "node:assert/strict";
import { RedisHost } from "../chaos/redis-host.ts";
import { allDone, askAll, type Asked, assertAnswered, assertDefinite, WAYS } from "../rig/fleet/asked.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

const SLOTS = 6;

/** Tokens of an answer that goes on until it is let run. */
const LONG = 1000;

async function inQueue(fleet: Fleet, count: number): Promise<void> {
  await until(`${count} tasks in Redis`, async () => {
    return fleet.probe.ready && Number(await fleet.probe.command("XLEN", fleet.keys.queue("tiny"))) === count;
  });
}

let host: RedisHost | undefined;

const plan = {
  posts: [{ slots: SLOTS }],
  redis: async (dir: string): Promise<RedisHost> => (host = await RedisHost.start(dir)),
};

journey(
  "power that fails before Redis's disk has all: what was lost is asked for again",
  plan,
  async (fleet, t) => {
    const { standIn } = fleet.post();
    standIn.behaviour.tokenMs = 20;
    const streams = askAll(fleet.gateway, WAYS, { stream: true, tokens: LONG });
    await until("tokens", () => streams.every((one) => one.tokens > 2));
    const written = await host?.written();
    assert.ok(host !== undefined && written !== undefined);
    const whole = askAll(fleet.gateway, WAYS, { stream: false, tokens: LONG });
    await standIn.waitFor("request", SLOTS);
    const queued = askAll(fleet.gateway, WAYS, { stream: true, tokens: 10 });
    const all: readonly Asked[] = [...streams, ...whole, ...queued];
    await inQueue(fleet, all.length);
    await until("more tokens", () => streams.every((one) => one.tokens > 20));
    await host.kill();
    const lost = await host.lose(written, 0);
    assert.ok(lost > 1000, `only ${lost} bytes were lost`);
    await host.startAgain({ empty: false });
    standIn.behaviour.tokenMs = 1;
    await allDone(all);
    for (const one of streams) assertDefinite(one);
    for (const one of [...whole, ...queued]) assertAnswered(one);
    const begun = streams.filter((one) => one.error === undefined).length;
    t.diagnostic(`${lost} bytes were lost, ${begun} of ${streams.length} streams were answered`);
    const again = askAll(fleet.gateway, WAYS, { stream: true, tokens: 5 });
    await allDone(again);
    for (const one of again) assertAnswered(one);
  },
);

interface Answered {
  readonly redis: RedisHost;
  readonly count: number;
  /** The number of requests to backends by now. */
  readonly runs: () => number;
}

/** Requests that were all answered, half of them from the queue; then the power fails, and Redis has them all again. */
async function answeredThenLost(fleet: Fleet, meanwhile: () => Promise<void>): Promise<Answered> {
  const runs = (): number => fleet.posts.reduce((sum, { standIn }) => sum + standIn.requests.length, 0);
  for (const { standIn } of fleet.posts) standIn.behaviour.tokenMs = 20;
  const busy = Array.from({ length: 2 * SLOTS }, () => "ollama-chat" as const);
  const running = askAll(fleet.gateway, busy, { stream: true, tokens: LONG });
  await until("no free slot", () => runs() === running.length);
  const queued = askAll(fleet.gateway, busy, { stream: true, tokens: 10 });
  const all = [...running, ...queued];
  await inQueue(fleet, all.length);
  const written = await host?.written();
  assert.ok(host !== undefined && written !== undefined);
  for (const { standIn } of fleet.posts) standIn.behaviour.tokenMs = 1;
  await allDone(all);
  for (const one of all) assertAnswered(one);
  await inQueue(fleet, 0);
  assert.equal(runs(), all.length);
  await meanwhile();
  await host.kill();
  const lost = await host.lose(written, 0);
  assert.ok(lost > 1000, `only ${lost} bytes were lost`);
  await host.startAgain({ empty: false });
  return { redis: host, count: all.length, runs };
}

const twoPosts = { ...plan, posts: [{ slots: SLOTS }, { slots: SLOTS }] };

journey(
  "power that fails after an answer: what Redis does not know any more is not run again",
  twoPosts,
  async (fleet) => {
    const { count, runs } = await answeredThenLost(fleet, async () => {});
    await inQueue(fleet, 0);
    assert.equal(runs(), count, "runs for nobody");
  },
);

journey(
  "power that fails after an answer: nothing runs before its gateway, which alone remembers, has found Redis again",
  twoPosts,
  async (fleet) => {
    const { probe, keys, gateway } = fleet;
    const { count, runs } = await answeredThenLost(fleet, async () => {
      await Promise.all(fleet.posts.map(({ worker }) => worker.kill()));
      gateway.signal("SIGSTOP");
    });
    await inQueue(fleet, count);
    // However slow this machine is, it does not look gone.
    const [tag] = (await probe.command("ZRANGE", keys.gateways(), "0", "-1")) as [Buffer];
    assert.equal(await probe.command("PERSIST", keys.gateway(String(tag))), 1);
    await fleet.addPost({ slots: SLOTS });
    await until("a worker that has them all", async () => {
      const reply = await probe.command("XPENDING", keys.queue("tiny"), "w");
      const [pending, , , consumers] = reply as [number, Buffer, Buffer, unknown[] | null];
      return pending === count && consumers?.length === 1;
    });
    gateway.signal("SIGCONT");
    await inQueue(fleet, 0);
    assert.equal(runs(), count, "runs for nobody");
  },
);
