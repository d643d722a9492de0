import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Source } from "../../src/backends/backend.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { ReplyBrake } from "../../src/worker/brake.ts";

class Tap implements Source {
  readonly told: string[] = [];

  pause(): void {
    this.told.push("pause");
  }

  resume(): void {
    this.told.push("resume");
  }
}

describe("a brake", () => {
  it("pauses its sources for the client, and those that come meanwhile", () => {
    const [brake, first, second] = [new ReplyBrake(), new Tap(), new Tap()];
    brake.attach(first);
    brake.hold(1000);
    brake.hold(2000);
    brake.attach(second);
    brake.release();
    assert.deepEqual(
      [first.told, second.told],
      [
        ["pause", "resume"],
        ["pause", "resume"],
      ],
    );
  });

  it("lets go when the hold was not renewed in time", () => {
    const [brake, tap] = [new ReplyBrake(), new Tap()];
    brake.attach(tap);
    brake.hold(1000);
    assert.equal(brake.look(999), true);
    assert.equal(brake.look(1000), false);
    assert.deepEqual(tap.told, ["pause", "resume"]);
  });

  it("holds while either reason lasts, and no longer when the attempt is over", () => {
    const [brake, tap] = [new ReplyBrake(), new Tap()];
    brake.attach(tap);
    brake.full(true);
    brake.hold(1000);
    brake.full(false);
    assert.deepEqual(tap.told, ["pause"]);
    brake.end();
    brake.full(true);
    assert.deepEqual(tap.told, ["pause", "resume"]);
    assert.equal(brake.held, false);
  });

  it("does not touch a source that has gone", () => {
    const [brake, tap] = [new ReplyBrake(), new Tap()];
    brake.attach(tap);
    brake.detach(tap);
    brake.hold(1000);
    assert.deepEqual(tap.told, []);
  });
});

function outboxOf(stream: boolean): Outbox {
  return new Outbox({ task: "g.1", attempt: 1, worker: "w", stream, ready: () => {}, mono: () => 0 });
}

describe("an outbox whose answer begins", () => {
  it("tells so once for a stream, and never for an answer in one piece", () => {
    const told: string[] = [];
    for (const stream of [true, false]) {
      const outbox = outboxOf(stream);
      outbox.onBegun(() => told.push(stream ? "stream" : "piece"));
      outbox.head(200, "application/json");
      outbox.write(Buffer.alloc(0));
      assert.equal(told.includes("stream"), !stream, "a head and nothing are no answer");
      outbox.write(Buffer.from("a"));
      outbox.write(Buffer.from("b"));
    }
    assert.deepEqual(told, ["stream"]);
  });
});

describe("an outbox that Redis does not empty", () => {
  it("holds the backend of a stream until the bytes leave", () => {
    const outbox = outboxOf(true);
    outbox.write(Buffer.from("first"));
    assert.ok(outbox.next() !== undefined);
    for (let n = 0; n < 12; n += 1) outbox.write(Buffer.alloc(100_000));
    assert.equal(outbox.brake.held, true);
    outbox.accepted();
    assert.equal(outbox.brake.held, true);
    assert.equal(outbox.next()?.seq, 2);
    assert.equal(outbox.brake.held, false);
  });

  it("holds again when the backend, let go, writes more than fits at once", () => {
    const outbox = outboxOf(true);
    const flood = (): void => {
      while (!outbox.brake.held) outbox.write(Buffer.alloc(100_000));
    };
    outbox.brake.attach({ pause: () => {}, resume: flood });
    flood();
    for (let seq = 1; seq <= 5; seq += 1) {
      assert.equal(outbox.next()?.seq, seq);
      assert.equal(outbox.brake.held, true);
      outbox.accepted();
    }
  });

  it("never holds that of an answer in one piece: nothing of it leaves before its end", () => {
    const outbox = outboxOf(false);
    for (let n = 0; n < 100; n += 1) outbox.write(Buffer.alloc(100_000));
    assert.equal(outbox.brake.held, false);
  });
});
