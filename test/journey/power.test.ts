import assert from "node:assert/strict";
import { RedisHost } from "../chaos/redis-host.ts";
import { allDone, askAll, type Asked, assertAnswered, assertDefinite, WAYS } from "./asked.ts";
import { type Fleet, journey } from "./fleet.ts";
import { until } from "./until.ts";

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

journey(
  "power that fails after an answer: what Redis does not know any more is not run again",
  { ...plan, posts: [{ slots: SLOTS }, { slots: SLOTS }] },
  async (fleet) => {
    const standIns = [fleet.post(0).standIn, fleet.post(1).standIn];
    const runs = (): number => standIns.reduce((sum, { requests }) => sum + requests.length, 0);
    for (const { behaviour } of standIns) behaviour.tokenMs = 20;
    const busy = Array.from({ length: 2 * SLOTS }, () => "ollama-chat" as const);
    const running = askAll(fleet.gateway, busy, { stream: true, tokens: LONG });
    await until("no free slot", () => runs() === running.length);
    const queued = askAll(fleet.gateway, busy, { stream: true, tokens: 10 });
    await inQueue(fleet, running.length + queued.length);
    const written = await host?.written();
    assert.ok(host !== undefined && written !== undefined);
    const all = [...running, ...queued];
    for (const { behaviour } of standIns) behaviour.tokenMs = 1;
    await allDone(all);
    for (const one of all) assertAnswered(one);
    await inQueue(fleet, 0);
    assert.equal(runs(), all.length);
    await host.kill();
    const lost = await host.lose(written, 0);
    assert.ok(lost > 1000, `only ${lost} bytes were lost`);
    await host.startAgain({ empty: false });
    await inQueue(fleet, 0);
    assert.equal(runs(), all.length, "runs for nobody");
  },
);
