import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { QueueTimeout } from "../../src/gateway/requests/queue-timeout.ts";
import type { Argument, Connection } from "../../src/redis/connection/connection.ts";
import { until } from "../rig/until.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";
import { fallSilent } from "../rig/redis/silence.ts";
import { openStores } from "../../src/redis/stores.ts";
import { exchangeOf, type ExchangeRig } from "./exchange-rig.ts";

/** The test sets the clock; Redis's own goes on, and on a loaded machine some seconds. */
const LEASE_MS = 60_000;

let redis: RedisRig;
let count = 0;

before(async () => {
  redis = await openRedisRig();
  await redis.stores.queue.ensureGroup("tiny");
});
after(async () => {
  await redis.close();
});

interface Case extends ExchangeRig {
  /** The number of reads of the reply stream before a verdict. */
  readonly looks: () => number;
  /** Looks `afterMs` later; resolves when the watch has its answers from Redis. */
  readonly look: (afterMs?: number) => Promise<void>;
  /** Mono ms of the next check. */
  readonly nextCheckAt: () => number;
  /** No worker reads the queue any more. */
  readonly unread: () => Promise<void>;
}

async function caseOf(
  news: (rig: ExchangeRig) => boolean = () => false,
  connection: Connection = redis.connection,
): Promise<Case> {
  const { keys } = redis;
  const rig = exchangeOf(`g.${(count += 1)}`);
  let looks = 0;
  const replies = {
    hasNews: () => {
      looks += 1;
      return Promise.resolve(news(rig));
    },
  };
  let clock = 5;
  const watch = new QueueTimeout({
    connection,
    stores: openStores(connection, keys),
    replies,
    leaseMs: LEASE_MS,
    mono: () => clock,
  });
  const unread = async (): Promise<void> => {
    watch.unread(rig.exchange, new Fault("not_implemented", "nobody has it"));
    await answered();
  };
  const look = async (afterMs = 0): Promise<void> => {
    clock += afterMs;
    watch.check(rig.exchange, Infinity);
    await answered();
  };
  const answered = async (): Promise<void> => {
    // Redis answers in order and gets two commands. The rest in this process takes some turns of the loop.
    await connection.command("PING");
    await connection.command("PING");
    await new Promise((resolve) => setImmediate(resolve));
  };
  const nextCheckAt = (): number => watch.nextCheckAt(rig.exchange);
  return { ...rig, nextCheckAt, look, unread, looks: () => looks };
}

async function queued(rig: Case): Promise<string> {
  const entry = await redis.stores.queue.add("tiny", Buffer.from(rig.exchange.task.id));
  rig.exchange.queued(entry);
  return entry;
}

async function claim(): Promise<void> {
  const options = { models: ["tiny"], consumer: "w1", credits: 9, waitMs: 10 };
  const connection = await redis.connect();
  assert.equal((await openStores(connection, redis.keys).consumer.take(options)).length, 1);
}

/** Passes commands on to Redis; on one with an `act` it happens after the first was answered, before the next is sent. */
class Relay extends FakeConnection {
  #turn: Promise<unknown> | undefined;
  readonly #to: Connection;
  readonly #act: (() => Promise<void>) | undefined;

  constructor(to: Connection, act?: () => Promise<void>) {
    super();
    this.#to = to;
    this.#act = act;
  }

  override command(...args: Argument[]): Promise<unknown> {
    const answer =
      this.#turn === undefined ? this.#to.command(...args) : this.#turn.then(() => this.#to.command(...args));
    if (this.#act !== undefined) this.#turn ??= answer.then(this.#act);
    return answer;
  }
}

function codes({ outcomes }: Case): readonly (string | undefined)[] {
  return outcomes.map(({ fault }) => fault?.code);
}

describe("a task whose queue no worker reads any more", () => {
  it("ends with what is missing when no worker has it, and goes on when one does", async () => {
    const rig = await caseOf();
    const entry = await queued(rig);
    await claim();
    await rig.unread();
    assert.deepEqual(codes(rig), []);
    await redis.connection.command("XDEL", redis.keys.queue("tiny"), entry);
    const other = await caseOf();
    const waiting = await queued(other);
    await other.unread();
    await until("an end", () => other.outcomes.length > 0);
    assert.deepEqual([codes(other), other.reply.status], [["not_implemented"], 501]);
    await redis.connection.command("XDEL", redis.keys.queue("tiny"), waiting);
  });
});

describe("a task whose time to wait is up", () => {
  it("ends when no worker has it", async () => {
    const rig = await caseOf();
    const entry = await queued(rig);
    await rig.look();
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
    assert.equal(rig.outcomes[0]?.abandon, true);
    assert.equal(rig.reply.status, 503);
    assert.equal(rig.reply.headers.get("retry-after"), "1");
    await redis.connection.command("XDEL", redis.keys.queue("tiny"), entry);
  });

  it("ends when no worker has ever read its queue, or the queue was lost", async () => {
    await redis.connection.command("DEL", redis.keys.queue("tiny"));
    const rig = await caseOf();
    await queued(rig);
    await rig.look();
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
    await redis.connection.command("DEL", redis.keys.queue("tiny"));
    await redis.stores.queue.ensureGroup("tiny");
  });

  it("ends when Redis has not even confirmed it", async () => {
    const rig = await caseOf();
    await rig.look();
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
  });

  it("goes on when a worker has reported it, though Redis has not confirmed it", async () => {
    const rig = await caseOf();
    rig.exchange.claimed(1);
    await rig.look();
    assert.deepEqual(codes(rig), []);
    rig.exchange.noted(1, { worker: "w1", backend: "b1", code: "backend_busy", cause: "backend", http: 503 });
    await rig.look();
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
  });

  it("goes on while a worker has it, and ends when no worker takes it after that", async () => {
    const rig = await caseOf();
    const entry = await queued(rig);
    await claim();
    await rig.look();
    assert.deepEqual(codes(rig), []);
    assert.equal(rig.nextCheckAt(), 5 + LEASE_MS, "nothing can be seen before a lease has passed");
    const hold = { model: "tiny", entry, consumer: "w1" };
    await fallSilent(redis.connection, redis.keys, { ...hold, idleMs: 1.25 * LEASE_MS });
    await rig.look();
    assert.deepEqual(codes(rig), [], "another worker may be about to take it");
    const nextCheckAt = rig.nextCheckAt();
    assert.ok(nextCheckAt < 5 + LEASE_MS && nextCheckAt > LEASE_MS / 2, `checks again at ${nextCheckAt}`);
    await fallSilent(redis.connection, redis.keys, { ...hold, idleMs: 2 * LEASE_MS });
    await rig.look();
    assert.equal(rig.nextCheckAt(), 5 + LEASE_MS);
    await rig.look(LEASE_MS - 1);
    assert.deepEqual(codes(rig), [], "it may look lost because Redis's clock was set");
    await rig.look(1);
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
    await redis.stores.queue.acknowledge("tiny", [entry]);
  });

  it("ends when no worker takes it in the lease after it was requeued", async () => {
    const rig = await caseOf();
    const entry = await queued(rig);
    await claim();
    await redis.stores.leases.requeue({ model: "tiny", entry, consumer: "w1" });
    await rig.look();
    assert.equal(rig.nextCheckAt(), 5 + LEASE_MS);
    await rig.look(LEASE_MS - 1);
    assert.deepEqual(codes(rig), [], "another worker may be about to take it");
    await rig.look(1);
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
    await redis.stores.queue.acknowledge("tiny", [entry]);
  });

  it("goes on when its worker gives a sign of life after Redis's clock was put forward, or Redis was away", async () => {
    const { keys } = redis;
    const connection = new Relay(redis.connection);
    const rig = await caseOf(() => false, connection);
    const entry = await queued(rig);
    await claim();
    const hold = { model: "tiny", entry, consumer: "w1", idleMs: 3 * LEASE_MS };
    const renewal = { model: "tiny", consumer: "w1", entries: [entry] };
    for (const wellAgain of [
      async () =>
        openStores(redis.connection, keys)
          .leases.renew(renewal)
          .then(async () => rig.look(LEASE_MS)),
      async () => Promise.resolve(connection.mend()),
    ]) {
      await fallSilent(redis.connection, keys, hold);
      await rig.look();
      await wellAgain();
      await fallSilent(redis.connection, keys, hold);
      await rig.look(LEASE_MS);
      assert.deepEqual(codes(rig), [], "a lease begins anew");
    }
    await openStores(redis.connection, keys).queue.acknowledge("tiny", [entry]);
  });

  it("is seen to be taken when a worker claims it between the two questions", async () => {
    const { connection, stores } = redis;
    const rig = await caseOf(() => false, new Relay(connection, claim));
    const entry = await queued(rig);
    await rig.look();
    await until("an answer to the second question", () => rig.nextCheckAt() === 5 + LEASE_MS);
    assert.deepEqual(codes(rig), []);
    await stores.queue.acknowledge("tiny", [entry]);
  });

  it("goes on when it has been answered just now", async () => {
    const answered = await caseOf(() => true);
    const entry = await queued(answered);
    await answered.look();
    await until("a look at the reply", () => answered.looks() === 1);
    assert.deepEqual(codes(answered), []);
    await redis.stores.queue.acknowledge("tiny", [entry]);
    await answered.look();
    assert.deepEqual(codes(answered), [], "its entry is gone");
  });

  it("goes on when its answer begins during the look", async () => {
    const rig = await caseOf(({ exchange }) => {
      const head = { status: 200, contentType: "application/x-ndjson", worker: "w1" };
      exchange.receive({ task: exchange.task.id, attempt: 1, seq: 1, head, bytes: Buffer.from("{}\n") });
      return false;
    });
    const entry = await queued(rig);
    await rig.look();
    await until("a look at the reply", () => rig.looks() === 1);
    assert.deepEqual(codes(rig), []);
    assert.equal(rig.reply.state, "streaming");
    await redis.connection.command("XDEL", redis.keys.queue("tiny"), entry);
  });
});
