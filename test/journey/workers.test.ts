import assert from "node:assert/strict";
import { INLINE_BYTES } from "../../src/redis/body-store.ts";
import { asArray, asEntries, asText } from "../../src/redis/connection/resp.ts";
import { openStores } from "../../src/redis/stores.ts";
import { newFolder, runCommand } from "../rig/command.ts";
import type { Recorded, StandIn } from "../rig/backends/stand-in.ts";
import {
  allDone,
  askAll,
  Asked,
  assertAnswered,
  assertBrokenOff,
  assertRefused,
  WAYS,
} from "../rig/fleet/asked.ts";
import { type Fleet, journey, LEASE_MS, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** Longer than any machine takes to start a second worker. */
const LONG = 4000;
const SHORT = 20;

/**
 * Longest wait for the task of a lost worker, ms. Two leases are the rule. A worker that sees a slow Redis rightly
 * waits longer, and nothing else would end these requests.
 */
const TAKE_OVER_MS = 8 * LEASE_MS;

interface Work {
  /** Streams that have told some tokens. */
  readonly begun: readonly Asked[];
  /** Streams without a token so far. */
  readonly silent: readonly Asked[];
  readonly whole: readonly Asked[];
}

/** Gives the only worker of a fleet work of every kind, and waits until it is at it. */
async function giveWork(fleet: Fleet): Promise<Work> {
  const { standIn } = fleet.post(0);
  Object.assign(standIn.behaviour, { firstTokenMs: 0, tokenMs: 40 });
  const begun = askAll(fleet.gateway, WAYS, { stream: true, tokens: LONG });
  await until("tokens at all clients", () => begun.every((one) => one.tokens > 2));
  standIn.behaviour.firstTokenMs = 600_000;
  const silent = askAll(fleet.gateway, WAYS, { stream: true, tokens: SHORT });
  const whole = askAll(fleet.gateway, WAYS, { stream: false, tokens: SHORT });
  await standIn.waitFor("request", begun.length + silent.length + whole.length);
  return { begun, silent, whole };
}

function assertTakenOver({ begun, silent, whole }: Work, lostAt: number): void {
  for (const one of begun) assertBrokenOff(one);
  for (const one of [...silent, ...whole]) assertAnswered(one);
  for (const one of [...begun, ...silent, ...whole]) {
    const waited = one.endedAt - lostAt;
    assert.ok(waited < TAKE_OVER_MS, `${one.question.way} waited ${Math.round(waited)} ms`);
  }
}

const ROOMY = { slots: 16 };

journey(
  "a killed worker's tasks go to another; begun streams end with an error",
  { posts: [ROOMY] },
  async (fleet, t) => {
    const work = await giveWork(fleet);
    await fleet.addPost(ROOMY);
    const lostAt = performance.now();
    await fleet.post(0).worker.kill();
    await allDone([...work.begun, ...work.silent, ...work.whole]);
    assertTakenOver(work, lostAt);
    const last = Math.max(...[...work.begun, ...work.silent, ...work.whole].map((one) => one.endedAt));
    t.diagnostic(`all told ${Math.round(last - lostAt)} ms after the kill, with a lease of ${LEASE_MS} ms`);
  },
);

journey(
  "a worker that was frozen for longer than its lease does no harm and works on",
  { posts: [ROOMY] },
  async (fleet) => {
    const zombie = fleet.post(0);
    const work = await giveWork(fleet);
    const other = await fleet.addPost(ROOMY);
    const lostAt = performance.now();
    zombie.worker.signal("SIGSTOP");
    await allDone([...work.begun, ...work.silent, ...work.whole]);
    assertTakenOver(work, lostAt);
    await until("one and a half leases", () => performance.now() - lostAt > 1.5 * LEASE_MS);
    zombie.standIn.behaviour.firstTokenMs = 0;
    zombie.worker.signal("SIGCONT");
    await zombie.standIn.waitFor("aborted", 9);
    assert.equal(zombie.standIn.running, 0);
    assertTakenOver(work, lostAt);

    other.worker.signal("SIGTERM");
    assert.equal(await other.worker.exited, 0);
    zombie.standIn.behaviour.tokenMs = 0;
    const later = Array.from({ length: 2 * ROOMY.slots }, () => {
      return new Asked(fleet.gateway, { way: "openai-chat", stream: true, tokens: SHORT });
    });
    await allDone(later);
    for (const one of later) assertAnswered(one);
  },
);

journey(
  "a worker that is told to stop finishes what it runs and takes nothing more",
  { posts: [ROOMY] },
  async (fleet) => {
    const leaving = fleet.post(0);
    leaving.standIn.behaviour.tokenMs = 25;
    const running = [
      ...askAll(fleet.gateway, WAYS, { stream: true, tokens: 100 }),
      ...askAll(fleet.gateway, WAYS, { stream: false, tokens: 100 }),
    ];
    await leaving.standIn.waitFor("request", running.length);
    leaving.worker.signal("SIGTERM");
    await until("the end of the last wait for tasks", () => claimsNoMore(fleet));
    const later = askAll(fleet.gateway, WAYS, { stream: true, tokens: SHORT });
    assert.equal(await leaving.worker.exited, 0);
    await allDone(running);
    for (const one of running) assertAnswered(one);
    assert.ok(later.every((one) => !one.over));
    assert.equal(leaving.standIn.requests.length, running.length);
    await fleet.addPost(ROOMY);
    await allDone(later);
    for (const one of later) assertAnswered(one);
  },
);

/** True when a draining worker claims no more. It ends its current wait, 1.5 s at most, and takes what comes in it. */
async function claimsNoMore({ probe, keys }: Fleet): Promise<boolean> {
  const draining = (await openStores(probe, keys).registry.listWorkers()).every((worker) => worker.draining);
  const clients = asText(await probe.command("CLIENT", "LIST", "TYPE", "normal")).split("\n");
  const claiming = clients.filter((client) => client.includes("name=sgnet-worker-claims"));
  return draining && claiming.every((client) => !/ flags=\w*b/.test(client));
}

const DELIVERY_LIMIT = 2;

/** Ends every worker that sends this stand-in a task to be feared, and starts another in its place. */
function poison(
  fleet: Fleet,
  standIn: StandIn,
): { readonly deaths: () => number; readonly heal: () => void } {
  let deaths = 0;
  let healed = false;
  // One after the other: a new worker may ask the stand-in before it counts as started and can be found here.
  let replaced = Promise.resolve();
  const replace = async (): Promise<void> => {
    await Promise.all(fleet.posts.map(async ({ worker }) => worker.kill()));
    await fleet.addWorker(standIn);
  };
  standIn.events.on("request", (recorded: Recorded) => {
    if (healed || !recorded.raw.includes("poison")) return;
    deaths += 1;
    replaced = replaced.then(replace);
  });
  return {
    deaths: () => deaths,
    heal: () => {
      healed = true;
    },
  };
}

journey(
  "a task that kills its workers is kept as a dead letter, and can be run again",
  { env: { SGNET_DELIVERY_LIMIT: String(DELIVERY_LIMIT) } },
  async (fleet) => {
    const { standIn } = fleet.post(0);
    standIn.behaviour.firstTokenMs = 600_000;
    const { deaths, heal } = poison(fleet, standIn);
    const asked = new Asked(fleet.gateway, {
      way: "openai-chat",
      stream: false,
      tokens: SHORT,
      // Too large for its queue entry: its body is kept beside the letter.
      prompt: `poison ${"x".repeat(INLINE_BYTES)}`,
    });
    await asked.done;
    assertRefused(asked, 502);
    assert.match(String(asked.error), new RegExp(`${DELIVERY_LIMIT} deliveries`));
    assert.equal((asked.error as { code?: string }).code, "delivery_limit");
    assert.equal(deaths(), DELIVERY_LIMIT);
    const letters = asEntries(await fleet.probe.command("XRANGE", fleet.keys.dead(MODEL), "-", "+"));
    assert.equal(letters.length, 1);
    const fields = asArray(letters[0]?.fields).map((field) => asText(field));
    assert.equal(fields[fields.indexOf("code") + 1], "delivery_limit");
    standIn.behaviour.firstTokenMs = 0;
    heal();
    await retryAll(fleet, standIn);
    const next = new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: SHORT });
    await next.done;
    assertAnswered(next);
  },
);

/** Runs the dead letters of the fleet again, as an operator does. */
async function retryAll({ redisUrl, probe, keys }: Fleet, standIn: StandIn): Promise<void> {
  const folder = newFolder();
  const options = { cwd: folder.path, env: { REDIS_URL: redisUrl } };
  const before = standIn.requests.length;
  const letters = JSON.parse((await runCommand(["dead", "list", "--json"], options)).stdout) as {
    id: string;
  }[];
  const { code, stdout, stderr } = await runCommand(["dead", "retry", letters[0]?.id ?? ""], options);
  folder.remove();
  assert.equal(code, 0, stderr);
  assert.match(stderr, /: answered in .* tokens, as task g\w+\.\w+; the letter is removed\n$/);
  assert.equal((JSON.parse(stdout) as { object: string }).object, "chat.completion");
  assert.equal(standIn.requests.length, before + 1);
  assert.equal(await probe.command("XLEN", keys.dead(MODEL)), 0);
  assert.equal(await probe.command("EXISTS", keys.deads()), 0);
}
