import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../../src/core/fault.ts";
import { Cleaner } from "../../src/gateway/cleaner.ts";
import { Keys } from "../../src/redis/keys.ts";
import { until } from "../journey/until.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { exchangeOf } from "./exchange-rig.ts";

test("what was abandoned while Redis was away is given up when it is back", async () => {
  const connection = new FakeConnection();
  const cleaner = new Cleaner({ connection, keys: new Keys("test") });
  const { exchange } = exchangeOf("g.1");
  exchange.queued("5-0");
  connection.cut();
  cleaner.abandoned(exchange);
  await turn();
  assert.deepEqual(connection.arrived, []);
  connection.mend();
  await turn();
  assert.deepEqual(connection.arrived, [
    "UNLINK test:r:{g}:g.1",
    "PUBLISH test:ctl cancel g.1",
    "XDEL test:q:{tiny}:p0 5-0",
    "LPOP test:t:{d}:tiny:p0",
  ]);
  connection.mend();
  await turn();
  assert.equal(connection.arrived.length, 4, "once is enough");
});

test("a large body goes with its task, also when it was answered", async () => {
  const connection = new FakeConnection();
  const cleaner = new Cleaner({ connection, keys: new Keys("test") });
  const { exchange } = exchangeOf("g.2", { body: Buffer.alloc(200_000) });
  cleaner.abandoned(exchange);
  assert.ok(connection.arrived.includes("UNLINK test:b:{g}:g.2"));
  connection.cut();
  cleaner.answered(exchange);
  await turn();
  cleaner.stop();
  const before = connection.arrived.length;
  connection.mend();
  await turn();
  assert.deepEqual(connection.arrived.slice(before), ["UNLINK test:b:{g}:g.2"]);
});

test("what Redis refuses without a cut is tried again", async () => {
  const connection = new FakeConnection();
  const cleaner = new Cleaner({ connection, keys: new Keys("test") });
  const { exchange } = exchangeOf("g.3");
  connection.answer = () => Promise.reject(new Fault("redis_down", "LOADING"));
  cleaner.abandoned(exchange);
  await turn();
  connection.answer = () => null;
  const refused = connection.arrived.length;
  await until("another try", () => connection.arrived.length > refused);
  assert.equal(connection.arrived[refused], "UNLINK test:r:{g}:g.3");
  cleaner.stop();
});
