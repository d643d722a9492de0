import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Keys } from "../../src/redis/keys.ts";
import { Attempt } from "../../src/worker/attempt.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { Roll } from "../../src/worker/roll.ts";
import { FakeConnection } from "../redis/fake-connection.ts";

const mono = (): number => 0;

function openRoll(): Roll {
  const trust = { look: () => Promise.resolve(true) };
  return new Roll({ connection: new FakeConnection(), keys: new Keys("test"), mono, trust });
}

/** @param ordinal above 1 after a CLAIM, which has fenced earlier attempts */
function attemptOf(entry: string, ordinal: number): Attempt {
  const task = "g.1";
  const envelope = {
    id: task,
    endpoint: "ollama-chat" as const,
    model: "tiny",
    stream: true,
    createdAt: 0,
    deadline: 60_000,
    requestId: "",
    trace: "",
    body: undefined,
  };
  const outbox = new Outbox({ task, stream: true, attempt: ordinal, worker: "w1", ready: () => {}, mono });
  const facts = { model: "tiny", entry, outbox, startedAt: 0, endsAt: 60_000 };
  return new Attempt({ envelope, ...facts, deliveries: ordinal, ordinal });
}

describe("a second delivery of a task that runs here", () => {
  it("is over when the task was queued again: what runs goes on", () => {
    const roll = openRoll();
    const [first, second] = [attemptOf("5-0", 1), attemptOf("6-0", 1)];
    const verdicts: string[] = [];
    second.outbox.onOver((verdict) => verdicts.push(verdict));
    assert.equal(roll.add(first), true);
    assert.equal(roll.add(second), false);
    assert.deepEqual(verdicts, ["gone"], "its entry is acknowledged");
    roll.remove(second);
    assert.deepEqual([first.stopReason, roll.all()], [undefined, [first]]);
  });

  it("keeps those waiting who wait for no attempt in hand", async () => {
    const roll = openRoll();
    const [first, second] = [attemptOf("5-0", 1), attemptOf("6-0", 2)];
    first.outbox.onOver(() => roll.remove(first));
    roll.add(first);
    let isEmpty = false;
    const empty = roll.empty(60_000).then(() => (isEmpty = true));
    roll.add(second);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    assert.equal(isEmpty, false);
    roll.remove(second);
    await empty;
  });

  it("takes its place when it has claimed the task, or what ran was stopped", () => {
    const roll = openRoll();
    const [first, second, third] = [attemptOf("5-0", 1), attemptOf("6-0", 2), attemptOf("7-0", 1)];
    roll.add(first);
    assert.equal(roll.add(second), true);
    assert.deepEqual([first.stopReason, roll.all()], ["fenced", [second]]);
    second.stop("lease-lost");
    assert.equal(roll.add(third), true);
    assert.deepEqual(roll.all(), [third]);
  });
});
