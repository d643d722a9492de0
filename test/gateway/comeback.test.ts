import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Comeback } from "../../src/gateway/comeback.ts";
import { FakeConnection } from "../redis/fake-connection.ts";

/** Each reconnect's work ends when the test says so. */
function comebackOf(connection: FakeConnection): {
  readonly comeback: Comeback;
  readonly works: ((done: boolean) => void)[];
  readonly told: (string | undefined)[];
} {
  const works: ((done: boolean) => void)[] = [];
  const told: (string | undefined)[] = [];
  const mend = (): Promise<boolean> => new Promise((resolve) => works.push(resolve));
  const comeback = new Comeback({ connection, key: "sgnet:c:{g}", mend });
  comeback.onTold(() => told.push(comeback.server));
  return { comeback, works, told };
}

test("a gateway names the server that knows what it removed, a new one not before it does", async () => {
  const connection = new FakeConnection();
  const { comeback, works, told } = comebackOf(connection);
  assert.equal(comeback.server, undefined, "it is not known at once");
  connection.server = "a";
  assert.equal(comeback.server, "a");
  connection.mend(false);
  assert.equal(comeback.server, "a", "the same one has lost nothing");
  connection.server = "b";
  connection.mend(true);
  assert.equal(comeback.server, "");
  works[1]?.(true);
  await turn();
  assert.deepEqual([comeback.server, told], ["b", ["b"]]);
});

test("what was removed at a server that has gone meanwhile, or could not be removed, does not count", async () => {
  const connection = new FakeConnection();
  const { comeback, works, told } = comebackOf(connection);
  connection.server = "a";
  assert.equal(comeback.server, "a");
  connection.server = "b";
  connection.mend(true);
  connection.server = "c";
  works[0]?.(true);
  await turn();
  assert.equal(comeback.server, "");
  connection.mend(true);
  works[1]?.(false);
  await turn();
  assert.deepEqual([comeback.server, told], ["", []]);
  connection.mend(true);
  works[2]?.(true);
  await turn();
  assert.deepEqual([comeback.server, told], ["c", ["c"]]);
  connection.server = undefined;
  assert.equal(comeback.server, undefined, "one that does not tell its run");
});
