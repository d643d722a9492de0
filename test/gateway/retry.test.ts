import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { after, afterEach, before, describe, it } from "node:test";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Task } from "../../src/core/task.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import { retryLetter } from "../../src/gateway/dead-letters/retry.ts";
import type { RetryHost } from "../../src/gateway/dead-letters/retry.ts";
import type { Argument, Connection } from "../../src/redis/connection/connection.ts";
import { LETTER_LOCK_MS } from "../../src/redis/dead-letters.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { openStores } from "../../src/redis/stores.ts";
import { aTask } from "../rig/task.ts";

const TASK: Task = aTask({
  id: "g1.1",
  endpoint: "ollama-chat",
  model: "m",
  stream: false,
  createdAt: 5,
  deadline: 9,
  requestId: "r1",
});

describe("a dead letter that is to run again", () => {
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(() => rig.close());
  afterEach(async () => {
    await rig.connection.command("FLUSHDB");
  });

  /** A gateway that runs nothing by itself. */
  function gateway(tag: string, refusal?: Fault) {
    const runs: ((fault?: Fault) => void)[] = [];
    let count = 0;
    const host: RetryHost = {
      stores: rig.stores,
      serves: (model) => model === "m",
      readers: { cardsOf: () => [{ ...BLANK_CARD, key: "m", name: "m" }], remembers: () => false },
      dispatcher: {
        now: () => 1000,
        newTaskId: () => `${tag}.${(count += 1)}`,
        admit: () => {
          if (refusal !== undefined) throw refusal;
        },
        accept: () => {},
        watch: (_task, onOver) => runs.push((fault) => onOver({ fault, totalMs: 1 } as Outcome)),
      },
    };
    return { host, runs };
  }

  const lay = async (model = "m"): Promise<{ model: string; id: string }> => {
    const fault = { code: "delivery_limit", message: "no worker answered", http: 502 } as const;
    const facts = { model, payload: encodeTask(TASK, true), fault, deliveries: 3, worker: "w1" };
    await rig.stores.letters.add(facts);
    return { model, id: (await letters(model))[0]?.id ?? assert.fail() };
  };
  const letters = (model = "m") => Array.fromAsync(rig.stores.letters.list(model));
  const quietly = { onBytes: () => {}, onRun: () => {} };
  /** Redis breaks when a letter is to be removed. */
  const untilRemoval = async (...args: Argument[]): Promise<unknown> => {
    if (args[0] === "XDEL") throw new Fault("redis_down", "away");
    return rig.connection.command(...args);
  };
  const holds = async (): Promise<unknown> => rig.connection.command("KEYS", `${rig.keys.prefix}:dh:*`);

  it("runs once, also when others retry it, and is gone when it was answered", async () => {
    const name = await lay();
    const [one, two] = [gateway("g1"), gateway("g2")];
    const started = Promise.withResolvers<void>();
    const first = retryLetter(one.host, { ...name, onBytes: () => {}, onRun: () => started.resolve() });
    await started.promise;
    const busy = { code: "invalid_request", http: 409 };
    await assert.rejects(retryLetter(two.host, { ...name, ...quietly }), busy);
    await assert.rejects(retryLetter(one.host, { ...name, ...quietly }), busy, "also of one gateway");
    assert.equal((await letters()).length, 1, "it lies there while it runs");
    const life = Number(await rig.connection.command("PTTL", rig.keys.letterLock("m", name.id)));
    assert.ok(life > 0 && life <= LETTER_LOCK_MS, String(life));
    one.runs[0]?.();
    assert.equal((await first).removed, true);
    assert.deepEqual(await letters(), []);
    await assert.rejects(retryLetter(two.host, { ...name, ...quietly }), { http: 404 });
    assert.deepEqual([one.runs.length, two.runs.length], [1, 0]);
    assert.deepEqual(await holds(), []);
  });

  it("goes to one of many that want it in the same moment", async () => {
    const name = await lay();
    const crowd = Array.from({ length: 8 }, (_, n) => gateway(`g${n}`));
    const ends = crowd.map(async ({ host, runs }) =>
      retryLetter(host, { ...name, onBytes: () => {}, onRun: () => void turn().then(() => runs[0]?.()) }),
    );
    const told = await Promise.allSettled(ends);
    assert.equal(told.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal(crowd.flatMap(({ runs }) => runs).length, 1);
  });

  it("stays when it was not answered, and may be tried again at once", async () => {
    const name = await lay();
    for (let n = 0; n < 2; n += 1) {
      const { host, runs } = gateway(`g${n}`);
      const onRun = (): void => void turn().then(() => runs[0]?.(new Fault("backend_error", "no")));
      assert.equal((await retryLetter(host, { ...name, onBytes: () => {}, onRun })).removed, false);
    }
    assert.equal((await letters()).length, 1);
  });

  it("was answered although Redis broke before it could be removed", async () => {
    const name = await lay();
    const { host, runs } = gateway("g1");
    const connection = {
      ready: true,
      sharded: false,
      command: untilRemoval,
    } as Partial<Connection> as Connection;
    const onRun = (): void => void turn().then(() => runs[0]?.());
    const retried = await retryLetter(
      { ...host, stores: openStores(connection, rig.keys) },
      { ...name, onBytes: () => {}, onRun },
    );
    assert.deepEqual([retried.outcome.fault, retried.removed], [undefined, false]);
    assert.equal((await letters()).length, 1, "for its operator to remove");
  });

  it("is refused, and stays, when its gateway has as many requests as it takes", async () => {
    const name = await lay();
    const { host, runs } = gateway("g1", new Fault("queue_full", "server busy"));
    await assert.rejects(retryLetter(host, { ...name, ...quietly }), { code: "queue_full" });
    assert.equal(runs.length, 0);
    assert.equal((await letters()).length, 1);
    assert.deepEqual(await holds(), []);
  });

  it("stays when no worker serves its model", async () => {
    const name = await lay("other");
    const { host } = gateway("g1");
    await assert.rejects(retryLetter(host, { ...name, ...quietly }), { code: "model_not_found" });
    assert.equal((await letters("other")).length, 1);
  });

  it("stays when no backend of its model has its endpoint, and nothing is queued", async () => {
    const task = { ...TASK, endpoint: "openai-rerank" } as const;
    const fault = { code: "delivery_limit", message: "no worker answered", http: 502 } as const;
    const payload = encodeTask(task, true);
    await rig.stores.letters.add({ model: "m", payload, fault, deliveries: 3, worker: "w1" });
    const name = { model: "m", id: (await letters())[0]?.id ?? assert.fail() };
    const { host, runs } = gateway("g1");
    await assert.rejects(retryLetter(host, { ...name, ...quietly }), { code: "not_implemented" });
    assert.deepEqual([runs.length, (await letters()).length], [0, 1]);
  });

  it("is free again when its gateway was lost, and not taken back from the next", async () => {
    const name = await lay();
    const lost = gateway("g1");
    const begun = Promise.withResolvers<void>();
    const late = retryLetter(lost.host, { ...name, onBytes: () => {}, onRun: () => begun.resolve() });
    await begun.promise;
    await rig.connection.command("DEL", rig.keys.letterLock("m", name.id));
    const next = gateway("g2");
    const taken = Promise.withResolvers<void>();
    const again = retryLetter(next.host, { ...name, onBytes: () => {}, onRun: () => taken.resolve() });
    await taken.promise;
    lost.runs[0]?.(new Fault("backend_error", "no"));
    await late;
    assert.equal(String(await rig.connection.command("GET", rig.keys.letterLock("m", name.id))), "g2.1");
    next.runs[0]?.();
    assert.equal((await again).removed, true);
  });
});
