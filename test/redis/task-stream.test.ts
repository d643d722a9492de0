import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { REQUEUED_MS } from "../../src/redis/pending.ts";
import type { PendingEntry } from "../../src/redis/pending.ts";
import { QueueReadings } from "../../src/redis/inspect/queue-readings.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { fallSilent } from "../rig/redis/silence.ts";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

async function put(model: string, ...texts: string[]): Promise<string[]> {
  const entries = await Promise.all(
    texts.map(async (text) => rig.stores.queue.add(model, Buffer.from(text))),
  );
  await rig.stores.doorbells.ring(model, texts.length);
  return entries;
}

const read = { consumer: "w1", credits: 10, waitMs: 50 };

describe("take", () => {
  it("never claims more than the credits, over one queue and over several", async () => {
    for (const models of [["one"], ["two", "three"]]) {
      for (const model of models) await rig.stores.queue.ensureGroup(model);
      for (const model of models) await put(model, "a", "b", "c");
      const blocking = await rig.connect();
      const first = await openStores(blocking, rig.keys).consumer.take({ ...read, models, credits: 2 });
      assert.deepEqual(
        first.map((task) => task.payload.toString()),
        ["a", "b"],
      );
      const rest = await openStores(blocking, rig.keys).consumer.take({ ...read, models });
      assert.equal(rest.length, models.length * 3 - 2);
    }
  });

  it("wakes at once when a task comes, and finds a task whose token was lost", async () => {
    await rig.stores.queue.ensureGroup("wake");
    const blocking = await rig.connect();
    const waiting = openStores(blocking, rig.keys).consumer.take({
      ...read,
      models: ["wake"],
      waitMs: 60_000,
    });
    await put("wake", "x");
    assert.equal((await waiting).length, 1);
    await rig.stores.queue.add("wake", Buffer.from("silent"));
    const healed = await openStores(blocking, rig.keys).consumer.take({ ...read, models: ["wake"] });
    assert.deepEqual(
      healed.map((task) => task.payload.toString()),
      ["silent"],
    );
  });

  it("finds the tasks of queues that lost their groups, as when somebody empties Redis", async () => {
    await put("bare1", "a");
    await put("bare2", "b");
    const found = await openStores(await rig.connect(), rig.keys).consumer.take({
      ...read,
      models: ["bare1", "bare2"],
    });
    assert.deepEqual(
      found.map((task) => task.payload.toString()),
      ["a", "b"],
    );
  });

  it("brings what it claimed also when the wait for the doorbell fails, and tells that when it claimed nothing", async () => {
    for (const models of [["mute"], ["mute", "muter"]]) {
      for (const model of models) {
        await rig.stores.queue.ensureGroup(model);
        await rig.stores.queue.add(model, Buffer.from(model));
        await rig.connection.command("SET", rig.keys.doorbell(model), "no list");
      }
      const blocking = await rig.connect();
      const found = await openStores(blocking, rig.keys).consumer.take({ ...read, models });
      assert.deepEqual(
        found.map((task) => task.payload.toString()),
        models,
      );
      await assert.rejects(openStores(blocking, rig.keys).consumer.take({ ...read, models }), /WRONGTYPE/);
    }
  });

  it("hands each task to one of several workers", async () => {
    await rig.stores.queue.ensureGroup("race");
    const texts = Array.from({ length: 40 }, (_one, index) => String(index));
    const workers = await Promise.all(Array.from({ length: 4 }, async () => rig.connect()));
    const taking = workers.map(async (connection, index) =>
      openStores(connection, rig.keys).consumer.take({
        consumer: `w${index}`,
        credits: 10,
        models: ["race"],
        waitMs: 60_000,
      }),
    );
    await put("race", ...texts);
    const got = (await Promise.all(taking)).flat();
    const rest = await openStores(workers[0] ?? rig.connection, rig.keys).consumer.take({
      ...read,
      credits: 40,
      models: ["race"],
    });
    const all = [...got, ...rest].map((task) => task.payload.toString());
    assert.deepEqual(all.toSorted(), texts.toSorted());
  });
});

describe("a task in hand", () => {
  it("is requeued with its delivery count, and only by the worker that holds it", async () => {
    const model = "returned";
    await rig.stores.queue.ensureGroup(model);
    const [entry = ""] = await put(model, "x");
    await openStores(await rig.connect(), rig.keys).consumer.take({
      ...read,
      models: [model],
      consumer: "frozen",
    });
    const hold = { model, entry, consumer: "frozen" };
    const search = { model, idleMs: REQUEUED_MS };
    const silent = async (): Promise<unknown> => rig.stores.leases.silent(search);
    const backed = { entry, worker: "frozen", idleMs: 0, requeued: true };
    const back = async (deliveries?: number): Promise<boolean> =>
      rig.stores.leases.requeue({ ...hold, ...(deliveries === undefined ? {} : { deliveries }) });
    assert.equal(await back(), true);
    assert.deepEqual(await silent(), [{ ...backed, deliveries: 1 }]);
    assert.equal(await back(0), true);
    assert.deepEqual(await silent(), [{ ...backed, deliveries: 0 }]);

    await rig.stores.leases.takeOver({ model, consumer: "other", idleMs: 5000, entries: [entry] });
    assert.equal(await back(0), false, "another worker runs it");
    const held = await rig.stores.leases.heldBy({ model, consumer: "other", count: 9 });
    assert.deepEqual([...held], [entry]);
    assert.deepEqual(await rig.stores.leases.silent({ model, idleMs: 4000 }), [], "nor silent");
    await rig.stores.queue.acknowledge(model, [entry]);
    assert.equal(await back(), false, "it was answered");
  });
});

function facts({ entry, worker, deliveries, requeued }: PendingEntry): unknown[] {
  return [entry, worker, deliveries, requeued];
}

describe("leases", () => {
  it("pass a silent worker's task on, once, and leave a renewed one alone", async () => {
    const model = "lease";
    await rig.stores.queue.ensureGroup(model);
    const [kept = "", lost = ""] = await put(model, "kept", "lost");
    const blocking = await rig.connect();
    await openStores(blocking, rig.keys).consumer.take({ ...read, models: [model], consumer: "dead" });
    await fallSilent(rig.connection, rig.keys, { model, entry: lost, consumer: "dead", idleMs: 5000 });
    await rig.stores.leases.renew({ model, consumer: "dead", entries: [kept] });
    const search = { model, idleMs: 5000 };
    const silent = await rig.stores.leases.silent(search);
    assert.deepEqual(silent.map(facts), [[lost, "dead", 1, false]]);
    const own = await rig.stores.leases.silent({ ...search, consumer: "dead" });
    assert.deepEqual(own.map(facts), silent.map(facts));
    assert.deepEqual(await rig.stores.leases.silent({ ...search, consumer: "a" }), []);
    const claim = { model, idleMs: 5000, entries: [lost] };
    const [a, b] = await Promise.all([
      rig.stores.leases.takeOver({ ...claim, consumer: "a" }),
      rig.stores.leases.takeOver({ ...claim, consumer: "b" }),
    ]);
    assert.deepEqual(
      [...a, ...b].map((task) => task.payload.toString()),
      ["lost"],
    );
    const winner = a.length === 1 ? "a" : "b";
    assert.deepEqual([...(await rig.stores.leases.heldBy({ model, consumer: winner, count: 9 }))], [lost]);
    await rig.stores.queue.acknowledge(model, [kept, lost]);
    const [reading] = await new QueueReadings(rig.connection, rig.keys).read([model]);
    assert.deepEqual([reading?.waiting, reading?.claimed], [0, 0]);
  });

  it("do not bring back a task that was withdrawn", async () => {
    const model = "gone";
    await rig.stores.queue.ensureGroup(model);
    const [entry = ""] = await put(model, "x");
    assert.equal(await rig.stores.queue.has(model, entry), true);
    await rig.stores.queue.withdraw(model, entry);
    assert.equal(await rig.stores.queue.has(model, entry), false);
    const blocking = await rig.connect();
    assert.deepEqual(await openStores(blocking, rig.keys).consumer.take({ ...read, models: [model] }), []);
    assert.equal(await rig.connection.command("LLEN", rig.keys.doorbell(model)), 0);
  });
});

describe("consumers", () => {
  it("are removed when their workers are gone, unless they hold something", async () => {
    const model = "names";
    await rig.stores.queue.ensureGroup(model);
    const blocking = await rig.connect();
    const look = { ...read, models: [model] };
    const [done = ""] = await put(model, "done");
    await openStores(blocking, rig.keys).consumer.take({ ...look, consumer: "idle" });
    await rig.stores.queue.acknowledge(model, [done]);
    const [entry = ""] = await put(model, "held");
    await openStores(blocking, rig.keys).consumer.take({ ...look, consumer: "holder" });
    const names = async (): Promise<string[]> => {
      const reply = await rig.connection.command("XINFO", "CONSUMERS", rig.keys.queue(model), "w");
      return (reply as unknown[][]).map((fields) => String(fields[1]));
    };
    await rig.stores.leases.dropIdleConsumers(model, 60_000);
    assert.deepEqual(await names(), ["holder", "idle"]);
    await rig.stores.leases.dropIdleConsumers(model, 0);
    assert.deepEqual(await names(), ["holder"]);
    assert.deepEqual([...(await rig.stores.leases.heldBy({ model, consumer: "holder", count: 9 }))], [entry]);
    await rig.stores.leases.dropIdleConsumers("no such model", 0);
  });
});

describe("registry", () => {
  it("lists who announced itself and forgets who left or fell silent", async () => {
    const backend = { name: "b", kind: "ollama", url: "", slots: 1, busy: 0, healthy: true, models: [] };
    const worker = { version: "0", host: "h", pid: 1, startedAt: 1, draining: false, backends: [backend] };
    for (const id of ["w1", "w2", "w3"]) {
      await rig.stores.registry.announceWorker({ ...worker, id, seenAt: 5 }, false);
    }
    await rig.stores.registry.forgetWorker("w1");
    await rig.connection.command("DEL", rig.keys.worker("w2"));
    await rig.connection.command("SET", rig.keys.worker("w4"), "not json");
    await rig.connection.command("ZADD", rig.keys.workers(), "1", "w4");
    assert.deepEqual(
      (await rig.stores.registry.listWorkers()).map((one) => one.id),
      ["w3"],
    );
    await rig.connection.command("ZADD", rig.keys.gateways(), "1", "g1");
    await rig.stores.registry.removeUnserved(0);
    assert.equal(await rig.connection.command("EXISTS", rig.keys.gateways()), 0);
    assert.deepEqual(
      (await rig.connection.command("ZRANGE", rig.keys.workers(), "0", "-1"))?.toString(),
      "w4,w3",
    );
  });

  it("remembers a model for a while", async () => {
    await rig.connection.command("ZADD", rig.keys.models(), "100", "old", "200", "new");
    assert.deepEqual([...(await rig.stores.registry.rememberedModels(150))], ["new"]);
    await rig.stores.registry.removeUnserved(150);
    const kept = await rig.connection.command("ZRANGE", rig.keys.models(), "0", "-1");
    assert.equal(kept?.toString(), "new");
  });
});

describe("connection", () => {
  it("fails at once with redis_down when no server listens", async () => {
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

describe("an interrupt", () => {
  it("ends the wait of its claimer at once, and no other's", async () => {
    const [mine, other] = [await rig.connect(), await rig.connect()];
    await rig.stores.queue.ensureGroup("interrupt");
    const wait = { models: ["interrupt"], credits: 8, waitMs: 4000 };
    const over: string[] = [];
    const note = async (name: string, connection: Connection): Promise<void> => {
      await openStores(connection, rig.keys).consumer.take({
        ...wait,
        consumer: name,
        claimer: name,
      });
      over.push(name);
    };
    const waits = [note("w1.0", mine), note("w1.1", other)];
    await rig.stores.doorbells.interrupt("w1.0");
    await Promise.race(waits);
    assert.deepEqual(over, ["w1.0"]);
    await rig.stores.doorbells.interrupt("w1.1");
    await Promise.all(waits);
    assert.equal(await rig.connection.command("EXISTS", rig.keys.interrupt("w1.0")), 0);
  });
});
