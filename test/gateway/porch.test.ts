import assert from "node:assert/strict";
import test from "node:test";
import { Porch } from "../../src/gateway/porch.ts";
import { FakeConnection } from "../redis/fake-connection.ts";

function openPorch(t: test.TestContext): {
  commands: FakeConnection;
  channel: FakeConnection;
  porch: Porch;
  entered: string[];
  wait: (name: string) => void;
} {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const commands = new FakeConnection();
  const channel = new FakeConnection();
  const porch = new Porch([commands, channel]);
  const entered: string[] = [];
  const wait = (name: string): void => {
    porch.wait(() => entered.push(`${name} ${commands.ready && channel.ready ? "served" : "refused"}`));
  };
  return { commands, channel, porch, entered, wait };
}

test("nobody waits while all is well", (t) => {
  assert.equal(openPorch(t).porch.open, false);
});

test("who comes just when a connection broke is served when both are back", (t) => {
  const { commands, channel, porch, entered, wait } = openPorch(t);
  commands.cut();
  channel.cut();
  assert.equal(porch.open, true);
  wait("first");
  commands.mend();
  assert.equal(porch.open, true, "the channel is still away");
  wait("second");
  assert.deepEqual(entered, []);
  channel.mend();
  assert.deepEqual(entered, ["first served", "second served"]);
  assert.equal(porch.open, false);
  t.mock.timers.tick(10_000);
  assert.equal(entered.length, 2);
});

test("an outage that lasts is told after a moment, and then at once, however often connecting fails", (t) => {
  const { commands, porch, entered, wait } = openPorch(t);
  commands.cut();
  wait("early");
  t.mock.timers.tick(900);
  commands.cut();
  assert.deepEqual(entered, []);
  t.mock.timers.tick(100);
  assert.deepEqual(entered, ["early refused"]);
  commands.cut();
  assert.equal(porch.open, false);
  commands.mend();
  commands.cut();
  assert.equal(porch.open, true, "a new outage");
});

test("a gateway that stops lets nobody wait", (t) => {
  const { channel, porch, entered, wait } = openPorch(t);
  channel.cut();
  wait("one");
  porch.close();
  assert.deepEqual(entered, ["one refused"]);
  assert.equal(porch.open, false);
  channel.mend();
  channel.cut();
  assert.equal(porch.open, false);
});
