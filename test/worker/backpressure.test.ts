import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Source } from "../../src/backends/backend.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { ReplyBackpressure } from "../../src/worker/backpressure.ts";

class Tap implements Source {
  readonly calls: string[] = [];

  pause(): void {
    this.calls.push("pause");
  }

  resume(): void {
    this.calls.push("resume");
  }
}

describe("backpressure", () => {
  it("pauses its sources for the client, and those that come meanwhile", () => {
    const [backpressure, first, second] = [new ReplyBackpressure(), new Tap(), new Tap()];
    backpressure.attach(first);
    backpressure.pause(1000);
    backpressure.pause(2000);
    backpressure.attach(second);
    backpressure.resume();
    assert.deepEqual(
      [first.calls, second.calls],
      [
        ["pause", "resume"],
        ["pause", "resume"],
      ],
    );
  });

  it("lets go when the hold was not renewed in time", () => {
    const [backpressure, tap] = [new ReplyBackpressure(), new Tap()];
    backpressure.attach(tap);
    backpressure.pause(1000);
    assert.equal(backpressure.check(999), true);
    assert.equal(backpressure.check(1000), false);
    assert.deepEqual(tap.calls, ["pause", "resume"]);
  });

  it("holds while either reason lasts, and no longer when the attempt is over", () => {
    const [backpressure, tap] = [new ReplyBackpressure(), new Tap()];
    backpressure.attach(tap);
    backpressure.full(true);
    backpressure.pause(1000);
    backpressure.full(false);
    assert.deepEqual(tap.calls, ["pause"]);
    backpressure.end();
    backpressure.full(true);
    assert.deepEqual(tap.calls, ["pause", "resume"]);
    assert.equal(backpressure.paused, false);
  });

  it("does not touch a source that has gone", () => {
    const [backpressure, tap] = [new ReplyBackpressure(), new Tap()];
    backpressure.attach(tap);
    backpressure.detach(tap);
    backpressure.pause(1000);
    assert.deepEqual(tap.calls, []);
  });
});

function outboxOf(stream: boolean): Outbox {
  return new Outbox({
    task: "g.1",
    attempt: 1,
    worker: "w",
    stream,
    ready: () => {},
    ambient: { mono: () => 0 },
  });
}

describe("an outbox whose answer begins", () => {
  it("reports it once for a stream, and never for an answer in one piece", () => {
    const calls: string[] = [];
    for (const stream of [true, false]) {
      const outbox = outboxOf(stream);
      outbox.onBegun(() => calls.push(stream ? "stream" : "piece"));
      outbox.head(200, "application/json");
      outbox.write(Buffer.alloc(0));
      assert.equal(calls.includes("stream"), !stream, "a head and nothing are no answer");
      outbox.write(Buffer.from("a"));
      outbox.write(Buffer.from("b"));
    }
    assert.deepEqual(calls, ["stream"]);
  });
});

describe("an outbox that Redis does not empty", () => {
  it("holds the backend of a stream until the bytes leave", () => {
    const outbox = outboxOf(true);
    outbox.write(Buffer.from("first"));
    assert.ok(outbox.next() !== undefined);
    for (let n = 0; n < 12; n += 1) outbox.write(Buffer.alloc(100_000));
    assert.equal(outbox.backpressure.paused, true);
    outbox.accepted();
    assert.equal(outbox.backpressure.paused, true);
    assert.equal(outbox.next()?.seq, 2);
    assert.equal(outbox.backpressure.paused, false);
  });

  it("holds again when the backend, let go, writes more than fits at once", () => {
    const outbox = outboxOf(true);
    const flood = (): void => {
      while (!outbox.backpressure.paused) outbox.write(Buffer.alloc(100_000));
    };
    outbox.backpressure.attach({ pause: () => {}, resume: flood });
    flood();
    for (let seq = 1; seq <= 5; seq += 1) {
      assert.equal(outbox.next()?.seq, seq);
      assert.equal(outbox.backpressure.paused, true);
      outbox.accepted();
    }
  });

  it("never holds that of an answer in one piece: nothing of it leaves before its end", () => {
    const outbox = outboxOf(false);
    for (let n = 0; n < 100; n += 1) outbox.write(Buffer.alloc(100_000));
    assert.equal(outbox.backpressure.paused, false);
  });
});
