import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Attempt } from "../../src/worker/attempt.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { AttemptRegistry } from "../../src/worker/attempt-registry.ts";

const mono = (): number => 0;

function openRegistry(): AttemptRegistry {
  return new AttemptRegistry({ acknowledger: { add: () => {} }, ambient: { mono } });
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
  const outbox = new Outbox({
    task,
    stream: true,
    attempt: ordinal,
    worker: "w1",
    ready: () => {},
    ambient: { mono },
  });
  const times = { startedAt: 0, endsAt: 60_000 };
  const delivery = { deliveries: ordinal, ordinal, attempt: ordinal };
  return new Attempt({ envelope, queued: { model: "tiny", entry }, outbox, times, delivery });
}

describe("a second delivery of a task that runs here", () => {
  it("is over when the task was queued again: the attempt that runs goes on", () => {
    const attemptRegistry = openRegistry();
    const [first, second] = [attemptOf("5-0", 1), attemptOf("6-0", 1)];
    const verdicts: string[] = [];
    second.outbox.onOver((verdict) => verdicts.push(verdict));
    assert.equal(attemptRegistry.add(first), true);
    assert.equal(attemptRegistry.add(second), false);
    assert.deepEqual(verdicts, ["gone"], "its entry is acknowledged");
    attemptRegistry.remove(second);
    assert.deepEqual([first.stopReason, attemptRegistry.all()], [undefined, [first]]);
  });

  it("keeps those waiting who wait for no attempt in hand", async () => {
    const attemptRegistry = openRegistry();
    const [first, second] = [attemptOf("5-0", 1), attemptOf("6-0", 2)];
    first.outbox.onOver(() => attemptRegistry.remove(first));
    attemptRegistry.add(first);
    let isEmpty = false;
    const empty = attemptRegistry.empty(60_000).then(() => (isEmpty = true));
    attemptRegistry.add(second);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    assert.equal(isEmpty, false);
    attemptRegistry.remove(second);
    await empty;
  });

  it("takes its place when it has claimed the task, or what ran was stopped", () => {
    const attemptRegistry = openRegistry();
    const [first, second, third] = [attemptOf("5-0", 1), attemptOf("6-0", 2), attemptOf("7-0", 1)];
    attemptRegistry.add(first);
    assert.equal(attemptRegistry.add(second), true);
    assert.deepEqual([first.stopReason, attemptRegistry.all()], ["fenced", [second]]);
    second.stop("lease-lost");
    assert.equal(attemptRegistry.add(third), true);
    assert.deepEqual(attemptRegistry.all(), [third]);
  });
});
