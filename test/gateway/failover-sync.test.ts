import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FailoverSync } from "../../src/gateway/requests/failover-sync.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";

/** Each reconnect's work ends when the test says so. */
function syncOf(connection: FakeConnection): {
  readonly failoverSync: FailoverSync;
  readonly works: ((done: boolean) => void)[];
  readonly told: (string | undefined)[];
} {
  const works: ((done: boolean) => void)[] = [];
  const told: (string | undefined)[] = [];
  const mend = (): Promise<boolean> => new Promise((resolve) => works.push(resolve));
  const failoverSync = new FailoverSync({
    connection,
    stores: openStores(connection, new Keys("sgnet")),
    tag: "g",
    recovery: { reconnected: mend },
    cleaner: { settled: async () => {} },
  });
  failoverSync.onChange(() => told.push(failoverSync.server));
  return { failoverSync, works, told };
}

test("a gateway names the server that knows what it removed, a new one not before it does", async () => {
  const connection = new FakeConnection();
  const { failoverSync, works, told } = syncOf(connection);
  assert.equal(failoverSync.server, undefined, "it is not known at once");
  connection.server = "a";
  assert.equal(failoverSync.server, "a");
  connection.mend(false);
  assert.equal(failoverSync.server, "a", "the same one has lost nothing");
  connection.server = "b";
  connection.mend(true);
  assert.equal(failoverSync.server, "");
  works[1]?.(true);
  await turn();
  assert.deepEqual([failoverSync.server, told], ["b", ["b"]]);
});

test("what was removed at a server that has gone meanwhile, or could not be removed, does not count", async () => {
  const connection = new FakeConnection();
  const { failoverSync, works, told } = syncOf(connection);
  connection.server = "a";
  assert.equal(failoverSync.server, "a");
  connection.server = "b";
  connection.mend(true);
  connection.server = "c";
  works[0]?.(true);
  await turn();
  assert.equal(failoverSync.server, "");
  connection.mend(true);
  works[1]?.(false);
  await turn();
  assert.deepEqual([failoverSync.server, told], ["", []]);
  connection.mend(true);
  works[2]?.(true);
  await turn();
  assert.deepEqual([failoverSync.server, told], ["c", ["c"]]);
  connection.server = undefined;
  assert.equal(failoverSync.server, undefined, "one that does not tell its run");
});
