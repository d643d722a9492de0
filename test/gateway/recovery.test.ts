import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemAmbient } from "../../src/core/ambient.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Task } from "../../src/core/task.ts";
import type { Exchange } from "../../src/gateway/requests/exchange.ts";
import { Enqueuer } from "../../src/gateway/requests/enqueuer.ts";
import { Recovery } from "../../src/gateway/requests/recovery.ts";
import { ReplyRouter } from "../../src/gateway/requests/reply-router.ts";
import { asEntries } from "../../src/redis/connection/resp.ts";
import { encodeFrame } from "../../src/wire/frame-codec.ts";
import { until } from "../rig/until.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";
import { exchangeOf, type ExchangeRig } from "./exchange-rig.ts";
import { openStores } from "../../src/redis/stores.ts";

let redis: RedisRig;

before(async () => {
  redis = await openRedisRig();
});
after(async () => {
  await redis.close();
});

/** A gateway that never stood still. */
const NO_STALLS = { since: () => 0, latest: () => 0 };

const ignore = (): void => {};

interface Desk {
  readonly replies: ReplyRouter;
  readonly enqueuer: Enqueuer;
  readonly recovery: Recovery;
  /** New entries of tasks that no client waited for any more. */
  readonly unwanted: readonly string[];
  /** Called when a task is about to be queued again. */
  beforeOpen: () => void;
}

function openDesk(): Desk {
  const { connection, keys } = redis;
  const { mono } = systemAmbient;
  const quiet = { log: { warn: ignore }, metrics: { frames: ignore, gapFilled: ignore } };
  const stores = openStores(connection, keys);
  const replies = new ReplyRouter({ stores, ...quiet, stalls: NO_STALLS, hasRoom: () => true });
  const enqueuer = new Enqueuer({ connection, stores: openStores(connection, keys) });
  const unwanted: string[] = [];
  const abandoned = ({ entry }: Exchange): void => void unwanted.push(entry ?? "");
  const watched = {
    enqueue: (task: Task, model: string, life?: number) => {
      desk.beforeOpen();
      return enqueuer.enqueue(task, model, life);
    },
  };
  const recovery = new Recovery({
    connection,
    stores: openStores(connection, keys),
    replies,
    enqueuer: watched,
    mono,
    stalls: NO_STALLS,
    cleaner: { abandoned },
  });
  const desk: Desk = { replies, enqueuer, recovery, unwanted, beforeOpen: ignore };
  return desk;
}

async function openTask(desk: Desk, id: string): Promise<ExchangeRig> {
  const rig = exchangeOf(id);
  desk.replies.add(rig.exchange);
  rig.exchange.queued(await desk.enqueuer.enqueue(rig.exchange.task, "tiny"));
  return rig;
}

const HEAD = { status: 200, contentType: "application/x-ndjson", worker: "w1" };

async function send(task: string, seq: number, text: string): Promise<void> {
  const head = seq === 1 ? { head: HEAD } : {};
  const bytes = encodeFrame({ task, attempt: 7, seq, bytes: Buffer.from(text), ...head });
  const results = await redis.stores.replies.emit("g", [{ task, attempt: 7, seq, last: false, bytes }]);
  assert.deepEqual(results, ["accepted"]);
}

/** Drops a task as a worker does that counts the gateway as dead. */
async function drop({ exchange }: ExchangeRig): Promise<void> {
  await redis.stores.queue.acknowledge("tiny", [exchange.entry ?? ""]);
}

describe("a silent task", () => {
  it("that is still queued is left alone", async () => {
    const desk = openDesk();
    const rig = await openTask(desk, "g.1");
    const entry = rig.exchange.entry;
    desk.recovery.silent(rig.exchange);
    await redis.connection.command("PING");
    await redis.connection.command("PING");
    assert.equal(rig.exchange.entry, entry);
    assert.deepEqual(rig.outcomes, []);
  });

  it("whose entry is gone is queued again, and given up when that does not help", async () => {
    const desk = openDesk();
    const rig = await openTask(desk, "g.2");
    for (let times = 1; times <= 3; times += 1) {
      const { entry } = rig.exchange;
      rig.exchange.runs("w1");
      await drop(rig);
      await until("another entry", () => {
        desk.recovery.silent(rig.exchange);
        return rig.exchange.entry !== entry;
      });
      assert.equal(rig.exchange.phase, "queued");
    }
    await drop(rig);
    await until("an end", () => {
      desk.recovery.silent(rig.exchange);
      return rig.outcomes.length > 0;
    });
    assert.equal(rig.outcomes[0]?.fault?.code, "worker_lost");
  });

  it("that is queued again just when its client leaves is taken back", async () => {
    const desk = openDesk();
    const rig = await openTask(desk, "g.5");
    const { entry } = rig.exchange;
    await drop(rig);
    desk.beforeOpen = () => rig.reply.leave();
    desk.recovery.silent(rig.exchange);
    await until("another entry", () => rig.exchange.entry !== entry);
    assert.deepEqual(desk.unwanted, [rig.exchange.entry]);
  });

  it("that had begun ends with a fault", async () => {
    const desk = openDesk();
    const rig = await openTask(desk, "g.3");
    await send("g.3", 1, "a");
    assert.equal(await desk.replies.hasNews(rig.exchange), true);
    await drop(rig);
    await until("an end", () => {
      desk.recovery.silent(rig.exchange);
      return rig.outcomes.length > 0;
    });
    assert.equal(rig.outcomes[0]?.fault?.code, "worker_lost");
  });
});

describe("many replies", () => {
  it("are opened again, but not those that ended meanwhile", async () => {
    const desk = openDesk();
    const rigs = Array.from({ length: 300 }, (_one, index) => exchangeOf(`g.many${index}`));
    for (const { exchange } of rigs) desk.replies.add(exchange);
    const opened = desk.recovery.reconnected();
    rigs.at(-1)?.reply.leave();
    assert.equal(await opened, true);
    desk.recovery.stop();
    const open = await redis.stores.replies.openAmong(rigs.map(({ exchange }) => exchange.task.id));
    assert.deepEqual([open.size, open.has("g.many299")], [299, false]);
  });
});

describe("tasks that Redis lost", () => {
  it("are queued again in the order in which they came", async () => {
    const desk = openDesk();
    const rigs: ExchangeRig[] = [];
    for (let n = 1; n <= 12; n += 1) rigs.push(await openTask(desk, `g.lost${n}`));
    const entries = rigs.map(({ exchange }) => exchange.entry);
    await redis.connection.command("FLUSHALL");
    assert.equal(await desk.recovery.reconnected(), true);
    await until("all in the queue again", () =>
      rigs.every(({ exchange }, index) => exchange.entry !== entries[index]),
    );
    desk.recovery.stop();
    const queue = asEntries(await redis.connection.command("XRANGE", redis.keys.queue("tiny"), "-", "+"));
    assert.deepEqual(
      queue.map(({ id }) => id),
      rigs.map(({ exchange }) => exchange.entry),
    );
  });
});

describe("a reply stream that lost its beginning", () => {
  it("ends the request with a fault instead of being read for ever", async () => {
    const desk = openDesk();
    const rig = await openTask(desk, "g.4");
    await send("g.4", 1, "a");
    await send("g.4", 2, "b");
    await desk.replies.hasNews(rig.exchange);
    assert.equal(rig.reply.text, "ab");
    await redis.connection.command("DEL", redis.keys.reply("g.4"));
    await desk.recovery.reconnected();
    desk.recovery.stop();
    await send("g.4", 4, "d");
    desk.replies.fill(rig.exchange);
    await until("an end", () => rig.outcomes.length > 0);
    assert.equal(rig.outcomes[0]?.fault?.code, "worker_lost");
    assert.match(rig.reply.text, /^ab\{"error"/);
  });
});

it("replies are opened again as soon as a Redis that loads its data takes them", async () => {
  const connection = new FakeConnection();
  const { keys } = redis;
  let filled = 0;
  const { exchange } = exchangeOf("g.9");
  const replies = { all: () => [exchange], fillAll: () => (filled += 1) } as unknown as ReplyRouter;
  const enqueuer = new Enqueuer({ connection, stores: openStores(connection, keys) });
  const { mono } = systemAmbient;
  const recovery = new Recovery({
    connection,
    stores: openStores(connection, keys),
    replies,
    enqueuer,
    mono,
    stalls: NO_STALLS,
    cleaner: { abandoned: ignore },
  });
  connection.answer = () => Promise.reject(new Fault("redis_down", "LOADING"));
  const opened = recovery.reconnected();
  await until("an attempt", () => connection.arrived.length > 0);
  assert.equal(filled, 0);
  connection.answer = () => 1;
  await until("replies that were opened", () => filled === 1);
  assert.equal(await opened, true);
  recovery.stop();
});
