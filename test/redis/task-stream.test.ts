import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connect.ts";
import type { Connection } from "../../src/redis/connection.ts";
import { HANDED_BACK_MS } from "../../src/redis/pending.ts";
import type { PendingEntry } from "../../src/redis/pending.ts";
import { readQueues } from "../../src/redis/queue-readings.ts";
import {
  announceWorker,
  forgetWorker,
  listWorkers,
  rememberedModels,
  tidyRegistry,
} from "../../src/redis/registry.ts";
import { endWait, take } from "../../src/redis/take.ts";
import {
  acknowledge,
  dropIdleConsumers,
  enqueue,
  ensureGroup,
  handBack,
  heldBy,
  isQueued,
  renew,
  ring,
  silentTasks,
  takeOver,
  withdraw,
} from "../../src/redis/task-stream.ts";
import { openRedisRig } from "./rig.ts";
import type { RedisRig } from "./rig.ts";
import { fallSilent } from "./silence.ts";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

async function put(model: string, ...texts: string[]): Promise<string[]> {
  const entries = await Promise.all(
    texts.map(async (text) => enqueue(rig.connection, rig.keys, model, Buffer.from(text))),
  );
  await ring(rig.connection, rig.keys, model, texts.length);
  return entries;
}

const read = { consumer: "w1", credits: 10, waitMs: 50 };

describe("take", () => {
  it("never claims more than the credits, over one queue and over several", async () => {
    for (const models of [["one"], ["two", "three"]]) {
      for (const model of models) await ensureGroup(rig.connection, rig.keys, model);
      for (const model of models) await put(model, "a", "b", "c");
      const blocking = await rig.connect();
      const first = await take(blocking, rig.keys, { ...read, models, credits: 2 });
      assert.deepEqual(
        first.map((task) => task.payload.toString()),
        ["a", "b"],
      );
      const rest = await take(blocking, rig.keys, { ...read, models });
      assert.equal(rest.length, models.length * 3 - 2);
    }
  });

  it("wakes at once when a task comes, and finds a task whose token was lost", async () => {
    await ensureGroup(rig.connection, rig.keys, "wake");
    const blocking = await rig.connect();
    const waiting = take(blocking, rig.keys, { ...read, models: ["wake"], waitMs: 60_000 });
    await put("wake", "x");
    assert.equal((await waiting).length, 1);
    await enqueue(rig.connection, rig.keys, "wake", Buffer.from("silent"));
    const healed = await take(blocking, rig.keys, { ...read, models: ["wake"] });
    assert.deepEqual(
      healed.map((task) => task.payload.toString()),
      ["silent"],
    );
  });

  it("finds the tasks of queues that lost their groups, as when somebody empties Redis", async () => {
    await put("bare1", "a");
    await put("bare2", "b");
    const found = await take(await rig.connect(), rig.keys, { ...read, models: ["bare1", "bare2"] });
    assert.deepEqual(
      found.map((task) => task.payload.toString()),
      ["a", "b"],
    );
  });

  it("brings what it claimed also when the wait for the doorbell fails, and tells that when it claimed nothing", async () => {
    for (const models of [["mute"], ["mute", "muter"]]) {
      for (const model of models) {
        await ensureGroup(rig.connection, rig.keys, model);
        await enqueue(rig.connection, rig.keys, model, Buffer.from(model));
        await rig.connection.command("SET", rig.keys.doorbell(model), "no list");
      }
      const blocking = await rig.connect();
      const found = await take(blocking, rig.keys, { ...read, models });
      assert.deepEqual(
        found.map((task) => task.payload.toString()),
        models,
      );
      await assert.rejects(take(blocking, rig.keys, { ...read, models }), /WRONGTYPE/);
    }
  });

  it("hands each task to one of several workers", async () => {
    await ensureGroup(rig.connection, rig.keys, "race");
    const texts = Array.from({ length: 40 }, (_one, index) => String(index));
    const workers = await Promise.all(Array.from({ length: 4 }, async () => rig.connect()));
    const taking = workers.map(async (connection, index) =>
      take(connection, rig.keys, { consumer: `w${index}`, credits: 10, models: ["race"], waitMs: 60_000 }),
    );
    await put("race", ...texts);
    const got = (await Promise.all(taking)).flat();
    const rest = await take(workers[0] ?? rig.connection, rig.keys, {
      ...read,
      credits: 40,
      models: ["race"],
    });
    const all = [...got, ...rest].map((task) => task.payload.toString());
    assert.deepEqual(all.toSorted(), texts.toSorted());
  });
});

describe("a task in hand", () => {
  it("is handed back with its delivery count, and only by the worker that holds it", async () => {
    const model = "returned";
    await ensureGroup(rig.connection, rig.keys, model);
    const [entry = ""] = await put(model, "x");
    await take(await rig.connect(), rig.keys, { ...read, models: [model], consumer: "frozen" });
    const hold = { model, entry, consumer: "frozen" };
    const search = { model, idleMs: HANDED_BACK_MS };
    const silent = async (): Promise<unknown> => silentTasks(rig.connection, rig.keys, search);
    const backed = { entry, worker: "frozen", idleMs: 0, handedBack: true };
    const back = async (deliveries?: number): Promise<boolean> =>
      handBack(rig.connection, rig.keys, { ...hold, ...(deliveries === undefined ? {} : { deliveries }) });
    assert.equal(await back(), true);
    assert.deepEqual(await silent(), [{ ...backed, deliveries: 1 }]);
    assert.equal(await back(0), true);
    assert.deepEqual(await silent(), [{ ...backed, deliveries: 0 }]);

    await takeOver(rig.connection, rig.keys, { model, consumer: "other", idleMs: 5000, entries: [entry] });
    assert.equal(await back(0), false, "another worker runs it");
    const held = await heldBy(rig.connection, rig.keys, { model, consumer: "other", count: 9 });
    assert.deepEqual([...held], [entry]);
    assert.deepEqual(await silentTasks(rig.connection, rig.keys, { model, idleMs: 4000 }), [], "nor silent");
    await acknowledge(rig.connection, rig.keys, model, [entry]);
    assert.equal(await back(), false, "it was answered");
  });
});

function facts({ entry, worker, deliveries, handedBack }: PendingEntry): unknown[] {
  return [entry, worker, deliveries, handedBack];
}

describe("leases", () => {
  it("pass a silent worker's task on, once, and leave a renewed one alone", async () => {
    const model = "lease";
    await ensureGroup(rig.connection, rig.keys, model);
    const [kept = "", lost = ""] = await put(model, "kept", "lost");
    const blocking = await rig.connect();
    await take(blocking, rig.keys, { ...read, models: [model], consumer: "dead" });
    await fallSilent(rig.connection, rig.keys, { model, entry: lost, consumer: "dead", idleMs: 5000 });
    await renew(rig.connection, rig.keys, { model, consumer: "dead", entries: [kept] });
    const search = { model, idleMs: 5000 };
    const silent = await silentTasks(rig.connection, rig.keys, search);
    assert.deepEqual(silent.map(facts), [[lost, "dead", 1, false]]);
    const own = await silentTasks(rig.connection, rig.keys, { ...search, consumer: "dead" });
    assert.deepEqual(own.map(facts), silent.map(facts));
    assert.deepEqual(await silentTasks(rig.connection, rig.keys, { ...search, consumer: "a" }), []);
    const claim = { model, idleMs: 5000, entries: [lost] };
    const [a, b] = await Promise.all([
      takeOver(rig.connection, rig.keys, { ...claim, consumer: "a" }),
      takeOver(rig.connection, rig.keys, { ...claim, consumer: "b" }),
    ]);
    assert.deepEqual(
      [...a, ...b].map((task) => task.payload.toString()),
      ["lost"],
    );
    const winner = a.length === 1 ? "a" : "b";
    assert.deepEqual(
      [...(await heldBy(rig.connection, rig.keys, { model, consumer: winner, count: 9 }))],
      [lost],
    );
    await acknowledge(rig.connection, rig.keys, model, [kept, lost]);
    const [reading] = await readQueues(rig.connection, rig.keys, [model]);
    assert.deepEqual([reading?.waiting, reading?.claimed], [0, 0]);
  });

  it("do not bring back a task that was withdrawn", async () => {
    const model = "gone";
    await ensureGroup(rig.connection, rig.keys, model);
    const [entry = ""] = await put(model, "x");
    assert.equal(await isQueued(rig.connection, rig.keys, model, entry), true);
    await withdraw(rig.connection, rig.keys, model, entry);
    assert.equal(await isQueued(rig.connection, rig.keys, model, entry), false);
    const blocking = await rig.connect();
    assert.deepEqual(await take(blocking, rig.keys, { ...read, models: [model] }), []);
    assert.equal(await rig.connection.command("LLEN", rig.keys.doorbell(model)), 0);
  });
});

describe("consumers", () => {
  it("are removed when their workers are gone, unless they hold something", async () => {
    const model = "names";
    await ensureGroup(rig.connection, rig.keys, model);
    const blocking = await rig.connect();
    const look = { ...read, models: [model] };
    const [done = ""] = await put(model, "done");
    await take(blocking, rig.keys, { ...look, consumer: "idle" });
    await acknowledge(rig.connection, rig.keys, model, [done]);
    const [entry = ""] = await put(model, "held");
    await take(blocking, rig.keys, { ...look, consumer: "holder" });
    const names = async (): Promise<string[]> => {
      const reply = await rig.connection.command("XINFO", "CONSUMERS", rig.keys.queue(model), "w");
      return (reply as unknown[][]).map((fields) => String(fields[1]));
    };
    await dropIdleConsumers(rig.connection, rig.keys, model, 60_000);
    assert.deepEqual(await names(), ["holder", "idle"]);
    await dropIdleConsumers(rig.connection, rig.keys, model, 0);
    assert.deepEqual(await names(), ["holder"]);
    assert.deepEqual(
      [...(await heldBy(rig.connection, rig.keys, { model, consumer: "holder", count: 9 }))],
      [entry],
    );
    await dropIdleConsumers(rig.connection, rig.keys, "no such model", 0);
  });
});

describe("registry", () => {
  it("lists who announced itself and forgets who left or fell silent", async () => {
    const backend = { name: "b", kind: "ollama", url: "", slots: 1, busy: 0, healthy: true, models: [] };
    const worker = { version: "0", host: "h", pid: 1, startedAt: 1, draining: false, backends: [backend] };
    for (const id of ["w1", "w2", "w3"]) {
      await announceWorker(rig.connection, rig.keys, { ...worker, id, seenAt: 5 }, false);
    }
    await forgetWorker(rig.connection, rig.keys, "w1");
    await rig.connection.command("DEL", rig.keys.worker("w2"));
    await rig.connection.command("SET", rig.keys.worker("w4"), "not json");
    await rig.connection.command("ZADD", rig.keys.workers(), "1", "w4");
    assert.deepEqual(
      (await listWorkers(rig.connection, rig.keys)).map((one) => one.id),
      ["w3"],
    );
    await rig.connection.command("ZADD", rig.keys.gateways(), "1", "g1");
    await tidyRegistry(rig.connection, rig.keys, 0);
    assert.equal(await rig.connection.command("EXISTS", rig.keys.gateways()), 0);
    assert.deepEqual(
      (await rig.connection.command("ZRANGE", rig.keys.workers(), "0", "-1"))?.toString(),
      "w4,w3",
    );
  });

  it("remembers a model for a while", async () => {
    await rig.connection.command("ZADD", rig.keys.models(), "100", "old", "200", "new");
    assert.deepEqual([...(await rememberedModels(rig.connection, rig.keys, 150))], ["new"]);
    await tidyRegistry(rig.connection, rig.keys, 150);
    const kept = await rig.connection.command("ZRANGE", rig.keys.models(), "0", "-1");
    assert.equal(kept?.toString(), "new");
  });
});

describe("connection", () => {
  it("fails at once with redis_down when nobody listens", async () => {
    await assert.rejects(connect("redis://127.0.0.1:1", "test"), { code: "redis_down" });
  });

  it("tells Redis's own errors in our words, and keeps Redis's beside them", async () => {
    await assert.rejects(rig.connection.command("XADD", "nokey"), (error: Error) => {
      assert.equal(error.message, "Redis answered XADD with an error (ERR)");
      assert.match(String(error.cause), /wrong number of arguments/);
      return true;
    });
  });
});

describe("a farewell", () => {
  it("ends the wait of its claimer at once, and no other's", async () => {
    const [mine, other] = [await rig.connect(), await rig.connect()];
    await ensureGroup(rig.connection, rig.keys, "farewell");
    const wait = { models: ["farewell"], credits: 8, waitMs: 4000 };
    const over: string[] = [];
    const note = async (name: string, connection: Connection): Promise<void> => {
      await take(connection, rig.keys, { ...wait, consumer: name, farewell: rig.keys.farewell(name) });
      over.push(name);
    };
    const waits = [note("w1.0", mine), note("w1.1", other)];
    await endWait(rig.connection, rig.keys.farewell("w1.0"));
    await Promise.race(waits);
    assert.deepEqual(over, ["w1.0"]);
    await endWait(rig.connection, rig.keys.farewell("w1.1"));
    await Promise.all(waits);
    assert.equal(await rig.connection.command("EXISTS", rig.keys.farewell("w1.0")), 0);
  });
});
