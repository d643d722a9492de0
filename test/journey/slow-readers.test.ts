import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { asArray, asText } from "../../src/redis/connection/resp.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import { Flood, type Flow, LazyReader } from "../rig/backends/flood.ts";
import type { Program } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";

/** A journey with one worker beside a flood. */
function flooded(
  name: string,
  env: Readonly<Record<string, string>>,
  run: (fleet: Fleet, flood: Flood, t: TestContext) => Promise<void>,
): void {
  journey(name, { posts: [], env }, async (fleet, t) => {
    const flood = await Flood.start();
    try {
      await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${flood.url}`, SGNET_SLOTS: "300" });
      await fleet.known(MODEL);
      await run(fleet, flood, t);
    } finally {
      await flood.stop();
    }
  });
}

/** The value of a gauge of the gateway. */
async function gauge(fleet: Fleet, name: string): Promise<number> {
  const text = await (await fetch(`${fleet.gateway.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

/** Bytes of all reply streams in Redis. */
async function replyBytes(fleet: Fleet): Promise<number> {
  const keys = asArray(await fleet.probe.command("KEYS", "sgnet:r:*")).map(asText);
  const sizes = keys.map((key) => fleet.probe.command("MEMORY", "USAGE", key, "SAMPLES", "0"));
  return (await Promise.all(sizes)).reduce<number>((sum, size) => sum + Number(size ?? 0), 0);
}

const EVENTS = 1000;

/** The longest that a gateway bears a reader that does not read. */
const PATIENT = { SGNET_SLOW_CLIENT_MS: "30000" };

function numbersBelow(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** Resident memory of a process, bytes. */
async function memoryOf(gateway: Program): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1]);
}

/** More than the sockets on the way take, and what may lie in Redis; far less than the answer of 64 MB. */
const MOST_BYTES = 40_000_000;

/** Attempts at a scenario. A gateway that gets no processor holds no stream back, and a flood is quick. */
const TRIES = 5;

/** A reader that has stopped reading, and what its backend has written to it when that was held back. */
async function heldReader(fleet: Fleet, flood: Flood): Promise<{ reader: LazyReader; flow: Flow }> {
  for (let tries = 1; ; tries += 1) {
    const reader = new LazyReader(fleet.gateway, EVENTS);
    await until("a backend that is held back", async () => (await gauge(fleet, "sgnet_held_streams")) === 1);
    const flow = flood.flows.at(-1) ?? assert.fail();
    if (flow.events < EVENTS / 2 || tries === TRIES) return { reader, flow };
    reader.leave();
    await until("nobody who is held", async () => (await gauge(fleet, "sgnet_held_streams")) === 0);
  }
}

flooded(
  "a reader that stops reading holds its backend, and gets every byte when it reads on",
  PATIENT,
  async (fleet, flood, t) => {
    const { reader, flow } = await heldReader(fleet, flood);
    // In the time in which another answer of this length passes whole, this one would have, too.
    const other = new LazyReader(fleet.gateway, EVENTS);
    await other.read();
    assert.equal(other.seen.length, EVENTS);
    const written = flow.events;
    t.diagnostic(`the backend has written ${written} events`);
    assert.ok(written < EVENTS / 2, `the backend has written ${written} events`);
    assert.ok((await replyBytes(fleet)) < MOST_BYTES / 2);
    await reader.read();
    assert.deepEqual(
      reader.seen,
      Array.from({ length: EVENTS }, (_, index) => index),
    );
    assert.equal(reader.isDone, true);
    assert.equal(await gauge(fleet, "sgnet_held_streams"), 0);
    reader.leave();
    other.leave();
  },
);

/** A reader that never read and was cut, and how much its backend wrote until it was stopped. */
async function cutReader(fleet: Fleet, flood: Flood): Promise<{ reader: LazyReader; bytes: number }> {
  for (let tries = 1; ; tries += 1) {
    const before = flood.bytes;
    const reader = new LazyReader(fleet.gateway, 100_000);
    await until("a stopped backend", () => {
      return flood.flows.length === tries && flood.flows.at(-1)?.outcome === "aborted";
    });
    const bytes = flood.bytes - before;
    if (bytes < MOST_BYTES || tries === TRIES) return { reader, bytes };
    reader.leave();
  }
}

flooded(
  "a reader that never reads is cut, and its backend stopped",
  { SGNET_SLOW_CLIENT_MS: "1500" },
  async (fleet, flood, t) => {
    const { reader, bytes } = await cutReader(fleet, flood);
    t.diagnostic(`the backend has written ${bytes} bytes`);
    assert.ok(bytes < MOST_BYTES, `the backend has written ${bytes} bytes`);
    assert.match(fleet.gateway.story, /slow_client/);
    await reader.read();
    assert.equal(reader.isDone, false);
    assert.deepEqual(
      reader.seen,
      Array.from({ length: reader.seen.length }, (_, index) => index),
    );
  },
);

/** So many readers that do not read are held. */
const HELD = 40;

/**
 * True when a quick reader was served while all others were held. On a loaded machine the first may be cut before the
 * last is held: nothing is known then.
 */
async function servedBesideHeld(fleet: Fleet, flood: Flood): Promise<boolean> {
  const before = flood.flows.length;
  const isCut = (): boolean => flood.flows.slice(before).some(({ outcome }) => outcome === "aborted");
  const held = async (): Promise<number> => gauge(fleet, "sgnet_held_streams");
  const lazy = Array.from({ length: HELD }, () => new LazyReader(fleet.gateway, 120));
  await until("many backends that are held back", async () => (await held()) === HELD || isCut());
  const quick = new LazyReader(fleet.gateway, 100);
  await quick.read();
  assert.equal(quick.seen.length, 100);
  const isServed = (await held()) === HELD;
  assert.ok(isServed || isCut(), "no reader is let go that was not cut");
  for (const reader of [...lazy, quick]) reader.leave();
  await until("stopped backends", () => flood.flows.every(({ outcome }) => outcome !== "open"));
  return isServed;
}

flooded("many readers that do not read keep no other client waiting", PATIENT, async (fleet, flood) => {
  let isServed = false;
  for (let tries = 0; !isServed && tries < TRIES; tries += 1) {
    isServed = await servedBesideHeld(fleet, flood);
  }
  assert.ok(isServed, "a quick reader waited until others were cut");
});

/** So many readers never read, and as many read steadily. */
const CROWD = 100;

const STEADY_EVENTS = 40;

/** Memory of the gateway after the crowd is gone, bytes. Pending bytes lie in Redis and in the system's buffers. */
const MOST_MEMORY = 400_000_000;

flooded(
  "200 slow readers: the quick are served meanwhile, the steady get all, those that never read are cut",
  // A client that takes 80 KB a second looks still for 16 s: the system tells of room when a third of its 4 MB is free.
  { SGNET_SLOW_CLIENT_MS: "30000" },
  async (fleet, flood, t) => {
    const never = Array.from({ length: CROWD }, () => new LazyReader(fleet.gateway, 1000));
    const behind = (): number =>
      flood.flows.filter(({ blocked, outcome }) => blocked || outcome === "aborted").length;
    await until("a crowd that is behind", () => behind() >= CROWD);
    // Not before: a loaded machine is long at what is written ahead for the others, a gigabyte.
    const steady = Array.from({ length: CROWD }, () => new LazyReader(fleet.gateway, STEADY_EVENTS));
    // Half a minute for an answer: long after the quick have theirs.
    const pace = { bytes: 8 * 1024, everyMs: 100 };
    const read = Promise.all(steady.map((reader) => reader.readSteadily(pace)));
    await until("all streams", () => flood.flows.length >= 2 * CROWD);
    const waits: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      const quick = new LazyReader(fleet.gateway, 5);
      const askedAt = performance.now();
      await quick.read();
      waits.push(Math.round(performance.now() - askedAt));
      assert.deepEqual(quick.seen, numbersBelow(5));
      quick.leave();
    }
    t.diagnostic(`ms that quick readers took: ${waits.join(" ")}`);
    assert.ok(
      steady.some(({ isDone }) => !isDone),
      "the quick did not wait for the slow",
    );
    pace.bytes = 1024 * 1024;
    await read;
    for (const { isDone, seen } of steady) {
      assert.equal(isDone, true);
      assert.deepEqual(seen, numbersBelow(STEADY_EVENTS));
    }
    const aborted = (): number => flood.flows.filter(({ outcome }) => outcome === "aborted").length;
    await until("cuts", () => aborted() === CROWD);
    // Free memory is collected only while the gateway serves others.
    const takes = [await memoryOf(fleet.gateway)];
    await until("memory that is given back", async () => {
      const quick = new LazyReader(fleet.gateway, STEADY_EVENTS);
      await quick.read();
      quick.leave();
      const bytes = await memoryOf(fleet.gateway);
      takes.push(bytes);
      return bytes < MOST_MEMORY;
    });
    t.diagnostic(`MB that the gateway takes: ${takes.map((bytes) => Math.round(bytes / 1e6)).join(" ")}`);
    for (const reader of never) {
      await reader.read();
      assert.equal(reader.isDone, false);
      assert.deepEqual(reader.seen, numbersBelow(reader.seen.length));
    }
    for (const reader of steady) reader.leave();
  },
);
