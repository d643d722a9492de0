import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../../src/core/fault.ts";
import { Enqueuer } from "../../src/gateway/requests/enqueuer.ts";
import { Keys } from "../../src/redis/keys.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { exchangeOf } from "./exchange-rig.ts";
import { openStores } from "../../src/redis/stores.ts";

/** A connection whose answers come when the test says so, and the names of the commands that arrived. */
class SlowConnection extends FakeConnection {
  readonly #waiting: ((value: unknown) => void)[] = [];
  override answer = (): Promise<unknown> => new Promise((resolve) => this.#waiting.push(resolve));

  get names(): string[] {
    return this.arrived.map((command) => command.split(" ", 1)[0] ?? "");
  }

  /** Answers everything that has arrived; resolves when what follows from that has arrived. */
  async reply(value: unknown): Promise<void> {
    for (const resolve of this.#waiting.splice(0)) resolve(value);
    await turn();
  }
}

const keys = new Keys("test");

test("on one server a task is opened in one go", async () => {
  const connection = new SlowConnection();
  const enqueuer = new Enqueuer({ connection, stores: openStores(connection, keys) });
  const open = enqueuer.enqueue(exchangeOf("g.1", { body: Buffer.alloc(200_000) }).exchange.task, "tiny");
  await turn();
  assert.deepEqual(connection.names, ["SET", "EVALSHA"]);
  await connection.reply(["5-0"]);
  assert.equal(await open, "5-0");
});

test("an answer that names no entry leaves it open whether there is one", async () => {
  const cases: [unknown, RegExp][] = [
    [[], /which entry/],
    [["OK"], /which entry/],
    ["5-0", /which entry/],
  ];
  for (const [answer, message] of cases) {
    const connection = new SlowConnection();
    const open = new Enqueuer({ connection, stores: openStores(connection, keys) }).enqueue(
      exchangeOf("g.1").exchange.task,
      "tiny",
    );
    await turn();
    const refused = assert.rejects(open, { code: "redis_down", message });
    await connection.reply(answer);
    await refused;
  }
});

test("a body that Redis refuses, before it answers for the task, refuses the task and nothing else", async () => {
  const connection = new SlowConnection();
  const slow = connection.answer;
  const refused = new Fault("redis_down", "full");
  connection.answer = (command?: string) => (command?.startsWith("SET") ? Promise.reject(refused) : slow());
  const enqueuer = new Enqueuer({ connection, stores: openStores(connection, keys) });
  const large = enqueuer.enqueue(exchangeOf("g.1", { body: Buffer.alloc(200_000) }).exchange.task, "tiny");
  const failed = assert.rejects(large, refused);
  const small = enqueuer.enqueue(exchangeOf("g.2").exchange.task, "tiny");
  // An unhandled rejection would have ended the process by now.
  await turn();
  await connection.reply(["5-0", "5-1"]);
  await failed;
  assert.equal(await small, "5-1");
});

test("on a cluster each step of opening a task waits for the one before", async () => {
  const connection = new SlowConnection();
  connection.sharded = true;
  const enqueuer = new Enqueuer({ connection, stores: openStores(connection, keys) });
  const large = enqueuer.enqueue(exchangeOf("g.1", { body: Buffer.alloc(200_000) }).exchange.task, "tiny");
  const small = enqueuer.enqueue(exchangeOf("g.2").exchange.task, "other");
  await turn();
  assert.deepEqual(connection.names, ["EVAL", "SET"], "the replies of both, and the body");
  await connection.reply(null);
  assert.deepEqual(connection.names.slice(2), ["XADD", "XADD"]);
  await connection.reply("5-0");
  assert.deepEqual(await Promise.all([large, small]), ["5-0", "5-0"]);
  assert.deepEqual(connection.names.slice(4), ["RPUSH", "RPUSH"]);
});

test("a task of a cluster that is not certain is refused, and its doorbell does not ring", async () => {
  const connection = new SlowConnection();
  connection.sharded = true;
  const enqueuer = new Enqueuer({ connection, stores: openStores(connection, keys) });
  const open = enqueuer.enqueue(exchangeOf("g.1").exchange.task, "tiny");
  await turn();
  connection.answer = () => Promise.reject(new Fault("redis_down", "the node is gone"));
  await Promise.all([assert.rejects(open, { code: "redis_down" }), connection.reply(null)]);
  assert.deepEqual(connection.names, ["EVAL", "XADD"]);
});
