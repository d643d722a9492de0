import assert from "node:assert/strict";
import test from "node:test";
import { OutageBuffer } from "../../src/gateway/requests/availability.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";

function openOutageBuffer(t: test.TestContext): {
  commands: FakeConnection;
  channel: FakeConnection;
  outageBuffer: OutageBuffer;
  entered: string[];
  wait: (name: string) => void;
} {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const commands = new FakeConnection();
  const channel = new FakeConnection();
  const outageBuffer = new OutageBuffer([commands, channel]);
  const entered: string[] = [];
  const wait = (name: string): void => {
    outageBuffer.wait(() =>
      entered.push(`${name} ${commands.ready && channel.ready ? "served" : "refused"}`),
    );
  };
  return { commands, channel, outageBuffer, entered, wait };
}

test("no request waits while all is well", (t) => {
  assert.equal(openOutageBuffer(t).outageBuffer.open, false);
});

test("who comes just when a connection broke is served when both are back", (t) => {
  const { commands, channel, outageBuffer, entered, wait } = openOutageBuffer(t);
  commands.cut();
  channel.cut();
  assert.equal(outageBuffer.open, true);
  wait("first");
  commands.mend();
  assert.equal(outageBuffer.open, true, "the channel is still away");
  wait("second");
  assert.deepEqual(entered, []);
  channel.mend();
  assert.deepEqual(entered, ["first served", "second served"]);
  assert.equal(outageBuffer.open, false);
  t.mock.timers.tick(10_000);
  assert.equal(entered.length, 2);
});

test("an outage that lasts is told after a moment, and then at once, however often connecting fails", (t) => {
  const { commands, outageBuffer, entered, wait } = openOutageBuffer(t);
  commands.cut();
  wait("early");
  t.mock.timers.tick(900);
  commands.cut();
  assert.deepEqual(entered, []);
  t.mock.timers.tick(100);
  assert.deepEqual(entered, ["early refused"]);
  commands.cut();
  assert.equal(outageBuffer.open, false);
  commands.mend();
  commands.cut();
  assert.equal(outageBuffer.open, true, "a new outage");
});

test("a gateway that stops lets no request wait", (t) => {
  const { channel, outageBuffer, entered, wait } = openOutageBuffer(t);
  channel.cut();
  wait("one");
  outageBuffer.close();
  assert.deepEqual(entered, ["one refused"]);
  assert.equal(outageBuffer.open, false);
  channel.mend();
  channel.cut();
  assert.equal(outageBuffer.open, false);
});
