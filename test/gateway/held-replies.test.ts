import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Frame } from "../../src/core/frame.ts";
import type { Exchange } from "../../src/gateway/requests/exchange.ts";
import { HeldReplies } from "../../src/gateway/requests/admission.ts";
import { nextBatch } from "../../src/gateway/requests/read-batch.ts";
import { automaticRoom } from "../../src/gateway/requests/reply-limit.ts";
import { PendingWrites } from "../../src/gateway/http/pending-writes.ts";
import { exchangeOf } from "./exchange-rig.ts";
import type { ExchangeRig } from "./exchange-rig.ts";

const MIB = 1024 * 1024;
const LIMIT = 100 * MIB;

class Rig {
  at = 0;
  cuts = 0;
  readonly exchanges: Exchange[] = [];
  readonly pendingWrites: PendingWrites = new PendingWrites(() => this.at);
  readonly held: HeldReplies = new HeldReplies({
    limit: LIMIT,
    mono: () => this.at,
    pendingWrites: this.pendingWrites,
    exchanges: () => this.exchanges,
    onCut: () => (this.cuts += 1),
  });

  /** A client that takes nothing of an answer; tells whether it was cut. */
  lazy(bytes: number): { cut: boolean; left: (rest: number) => void } {
    const client = { cut: false, left: (rest: number) => tail.left(rest) };
    const tail = this.pendingWrites.begin(bytes, () => {
      client.cut = true;
      tail.end();
    });
    return client;
  }
}

/** A stream whose client is this much behind. */
function behind(id: string, bytes: number): ExchangeRig {
  const rig = exchangeOf(id);
  rig.reply.full = true;
  const head = { status: 200, contentType: "text/event-stream", worker: "w1" };
  const frame: Frame = { task: id, attempt: 1, seq: 1, bytes: Buffer.from("x"), head };
  rig.exchange.receive(frame);
  rig.exchange.receive({ task: id, attempt: 1, seq: 2, bytes: Buffer.alloc(bytes) });
  return rig;
}

describe("what replies hold together", () => {
  it("refuses new requests near the bound, with a time to come back, and no sooner", () => {
    const rig = new Rig();
    rig.lazy(74 * MIB);
    assert.equal(rig.held.refusal(), undefined);
    const { left } = rig.lazy(2 * MIB);
    const fault = rig.held.refusal();
    assert.deepEqual([fault?.code, fault?.http], ["replies_full", 503]);
    assert.ok((fault?.retryAfter ?? 0) >= 1);
    left(0);
    assert.equal(rig.held.refusal(), undefined);
  });

  it("cuts the largest that take nothing when it is too much, until the rest fits", () => {
    const rig = new Rig();
    const [small, large, middle] = [rig.lazy(20 * MIB), rig.lazy(60 * MIB), rig.lazy(50 * MIB)];
    rig.held.check();
    assert.deepEqual([small.cut, large.cut, middle.cut], [false, true, false]);
    assert.equal(rig.held.here, 70 * MIB);
    rig.held.check();
    assert.equal(rig.cuts, 1);
  });

  it("at the bound cuts a client that was idle for long when others wait for room, and none that reads", () => {
    const rig = new Rig();
    const [idle, reader] = [rig.lazy(40 * MIB), rig.lazy(60 * MIB)];
    assert.equal(rig.held.hasRoom(), false);
    rig.held.check();
    assert.equal(rig.cuts, 0);
    rig.at += 6000;
    reader.left(60 * MIB - 1);
    rig.lazy(1);
    rig.held.check();
    assert.equal(rig.cuts, 0, "no client waits");
    rig.held.hasRoom();
    rig.held.check();
    assert.deepEqual([idle.cut, reader.cut], [true, false]);
    assert.equal(rig.held.hasRoom(), true);
  });

  it("cuts who was idle for long below the bound, too, when new requests are refused: else they are until it leaves", () => {
    const rig = new Rig();
    const [large, small] = [rig.lazy(60 * MIB), rig.lazy(30 * MIB)];
    rig.at += 6000;
    rig.held.check();
    assert.equal(rig.cuts, 0, "nobody waits");
    assert.equal(rig.held.refusal()?.code, "replies_full");
    assert.equal(rig.held.hasRoom(), true);
    rig.held.check();
    assert.deepEqual([large.cut, small.cut], [true, false]);
    assert.equal(rig.held.refusal(), undefined);
  });

  it("counts what waits in Redis for slow streams, and cuts the largest of them", () => {
    const rig = new Rig();
    const streams = [30, 60, 20].map((size, index) => behind(`g.${index}`, size * MIB));
    rig.at = performance.now() + 10;
    rig.exchanges.push(...streams.map(({ exchange }) => exchange));
    rig.held.check();
    const codes = streams.map(({ outcomes }) => outcomes[0]?.fault?.code);
    assert.deepEqual(codes, [undefined, "slow_client", undefined]);
    assert.equal(rig.held.behind, 110 * MIB);
    assert.equal(rig.held.refusal()?.code, "replies_full");
  });

  it("is bounded by the least of machine, heap and Redis", () => {
    const gib = 1024 * MIB;
    assert.equal(automaticRoom({ machine: 64 * gib, heap: 4 * gib, maxMemory: 0 }), gib);
    assert.equal(automaticRoom({ machine: 64 * gib, heap: 2 * gib, maxMemory: 0 }), 512 * MIB);
    assert.equal(automaticRoom({ machine: 64 * gib, heap: 4 * gib, maxMemory: 2 * gib }), 512 * MIB);
    assert.equal(automaticRoom({ machine: gib / 2, heap: 4 * gib, maxMemory: 0 }), 256 * MIB);
  });
});

describe("replies that are read from Redis", () => {
  const nudge: Frame = { task: "g", attempt: 1, seq: Number.MAX_SAFE_INTEGER, bytes: Buffer.alloc(0) };

  function large(id: string): Exchange {
    const { exchange } = exchangeOf(id, { stream: false });
    exchange.receive({ ...nudge, task: id });
    return exchange;
  }

  it("are one by one where they are large, after the others, and only when there is room", () => {
    const [one, other] = [large("g.1"), large("g.2")];
    const { exchange: small } = exchangeOf("g.3");
    assert.equal(one.isLarge, true);
    assert.deepEqual(
      nextBatch([one, other, small], () => true),
      [small],
    );
    assert.deepEqual(
      nextBatch([one, other], () => true),
      [one],
    );
    assert.deepEqual(
      nextBatch([one, other], () => false),
      [],
    );
  });

  it("are so many that one answer of Redis stays small", () => {
    const whole = Array.from(
      { length: 100 },
      (_, index) => exchangeOf(`g.${index}`, { stream: false }).exchange,
    );
    assert.equal(nextBatch(whole, () => true).length, 4);
    const slow = [behind("g.1", 20 * MIB), behind("g.2", 20 * MIB)].map(({ exchange }) => exchange);
    assert.equal(nextBatch(slow, () => true).length, 1);
    const quick = Array.from({ length: 300 }, (_, index) => exchangeOf(`g.${index}`).exchange);
    assert.equal(nextBatch(quick, () => true).length, 256);
  });
});
