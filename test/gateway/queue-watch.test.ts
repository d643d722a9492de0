import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { QueueWatch } from "../../src/gateway/queue-watch.ts";
import type { Argument, Connection } from "../../src/redis/connection.ts";
import { take } from "../../src/redis/take.ts";
import { acknowledge, enqueue, ensureGroup, handBack, renew } from "../../src/redis/task-stream.ts";
import { until } from "../journey/until.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { openRedisRig, type RedisRig } from "../redis/rig.ts";
import { fallSilent } from "../redis/silence.ts";
import { exchangeOf, type ExchangeRig } from "./exchange-rig.ts";

/** The test sets the clock; Redis's own goes on, and on a loaded machine some seconds. */
const LEASE_MS = 60_000;

let redis: RedisRig;
let count = 0;

before(async () => {
  redis = await openRedisRig();
  await ensureGroup(redis.connection, redis.keys, "tiny");
});
after(async () => {
  await redis.close();
});

interface Case extends ExchangeRig {
  /** How often the reply stream was looked at before a verdict. */
  readonly looks: () => number;
  /** Looks `afterMs` later; resolves when the watch has its answers from Redis. */
  readonly look: (afterMs?: number) => Promise<void>;
  /** Nobody reads the queue any more. */
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
  const watch = new QueueWatch({ connection, keys, replies, leaseMs: LEASE_MS, mono: () => clock });
  const unread = async (): Promise<void> => {
    watch.unread(rig.exchange, new Fault("not_implemented", "nobody has it"));
    await answered();
  };
  const look = async (afterMs = 0): Promise<void> => {
    clock += afterMs;
    watch.overdue(rig.exchange);
    await answered();
  };
  const answered = async (): Promise<void> => {
    // Redis answers in order, and is asked twice; what follows in this process takes some turns of the loop.
    await connection.command("PING");
    await connection.command("PING");
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...rig, look, unread, looks: () => looks };
}

async function queued(rig: Case): Promise<string> {
  const entry = await enqueue(redis.connection, redis.keys, "tiny", Buffer.from(rig.exchange.task.id));
  rig.exchange.queued(entry);
  return entry;
}

async function claim(): Promise<void> {
  const options = { models: ["tiny"], consumer: "w1", credits: 9, waitMs: 10 };
  const connection = await redis.connect();
  assert.equal((await take(connection, redis.keys, options)).length, 1);
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

describe("a task whose queue nobody reads any more", () => {
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
    await ensureGroup(redis.connection, redis.keys, "tiny");
  });

  it("ends when Redis has not even confirmed it", async () => {
    const rig = await caseOf();
    await rig.look();
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
  });

  it("goes on when a worker has told of it, though Redis confirmed it to nobody", async () => {
    const rig = await caseOf();
    rig.exchange.claimed(1);
    await rig.look();
    assert.deepEqual(codes(rig), []);
    rig.exchange.noted(1, { worker: "w1", backend: "b1", code: "backend_busy", cause: "backend", http: 503 });
    await rig.look();
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
  });

  it("goes on while a worker has it, and ends when nobody takes it after that", async () => {
    const rig = await caseOf();
    const entry = await queued(rig);
    await claim();
    await rig.look();
    assert.deepEqual(codes(rig), []);
    assert.equal(rig.exchange.queueLookAt, 5 + LEASE_MS, "nothing can be seen before a lease has passed");
    const hold = { model: "tiny", entry, consumer: "w1" };
    await fallSilent(redis.connection, redis.keys, { ...hold, idleMs: 1.25 * LEASE_MS });
    await rig.look();
    assert.deepEqual(codes(rig), [], "another worker may be about to take it");
    const { queueLookAt } = rig.exchange;
    assert.ok(queueLookAt < 5 + LEASE_MS && queueLookAt > LEASE_MS / 2, `looks again at ${queueLookAt}`);
    await fallSilent(redis.connection, redis.keys, { ...hold, idleMs: 2 * LEASE_MS });
    await rig.look();
    assert.equal(rig.exchange.queueLookAt, 5 + LEASE_MS);
    await rig.look(LEASE_MS - 1);
    assert.deepEqual(codes(rig), [], "it may look lost because Redis's clock was set");
    await rig.look(1);
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
    await acknowledge(redis.connection, redis.keys, "tiny", [entry]);
  });

  it("ends when nobody takes it in the lease after it was handed back", async () => {
    const rig = await caseOf();
    const entry = await queued(rig);
    await claim();
    await handBack(redis.connection, redis.keys, { model: "tiny", entry, consumer: "w1" });
    await rig.look();
    assert.equal(rig.exchange.queueLookAt, 5 + LEASE_MS);
    await rig.look(LEASE_MS - 1);
    assert.deepEqual(codes(rig), [], "another worker may be about to take it");
    await rig.look(1);
    await until("an end", () => rig.outcomes.length > 0);
    assert.deepEqual(codes(rig), ["queue_timeout"]);
    await acknowledge(redis.connection, redis.keys, "tiny", [entry]);
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
      async () => renew(redis.connection, keys, renewal).then(async () => rig.look(LEASE_MS)),
      async () => Promise.resolve(connection.mend()),
    ]) {
      await fallSilent(redis.connection, keys, hold);
      await rig.look();
      await wellAgain();
      await fallSilent(redis.connection, keys, hold);
      await rig.look(LEASE_MS);
      assert.deepEqual(codes(rig), [], "a lease begins anew");
    }
    await acknowledge(redis.connection, keys, "tiny", [entry]);
  });

  it("is seen to be taken when a worker claims it between the two questions", async () => {
    const { connection, keys } = redis;
    const rig = await caseOf(() => false, new Relay(connection, claim));
    const entry = await queued(rig);
    await rig.look();
    await until("an answer to the second question", () => rig.exchange.queueLookAt === 5 + LEASE_MS);
    assert.deepEqual(codes(rig), []);
    await acknowledge(connection, keys, "tiny", [entry]);
  });

  it("goes on when it has been answered just now", async () => {
    const answered = await caseOf(() => true);
    const entry = await queued(answered);
    await answered.look();
    await until("a look at the reply", () => answered.looks() === 1);
    assert.deepEqual(codes(answered), []);
    await acknowledge(redis.connection, redis.keys, "tiny", [entry]);
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
