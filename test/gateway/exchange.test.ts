import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Fault, faultToRecord } from "../../src/core/fault.ts";
import type { Frame, FrameEnd } from "../../src/core/frame.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { Exchange } from "../../src/gateway/requests/exchange.ts";
import type { ExchangeHost } from "../../src/gateway/requests/exchange.ts";
import { heartbeatOf } from "../../src/protocols/heartbeats.ts";
import { FakeReply } from "./fake-reply.ts";
import { aTask } from "../rig/task.ts";

const BEAT_MS = 100;

const NOTE = { worker: "w1", backend: "ollama", code: "backend_busy", cause: "backend", http: 503 } as const;

/** An exchange between a fake client and a log that stands for the reply stream in Redis. */
class Rig implements ExchangeHost {
  readonly reply: FakeReply = new FakeReply();
  readonly exchange: Exchange;
  readonly outcomes: Outcome[] = [];
  /** Frames of the task in Redis. */
  log: Frame[] = [];
  fills = 0;
  /** Calls to the surroundings: holds, releases, trims. */
  readonly told: string[] = [];
  clock = 0;
  readonly mono = (): number => this.clock;
  readonly replies: ExchangeHost["replies"] = {
    fill: () => {
      this.fills += 1;
    },
    trim: ({ cursor }) => {
      this.told.push(`trim ${cursor.seq}`);
    },
  };
  readonly slowClients: ExchangeHost["slowClients"] = {
    pause: (_exchange, isPaused) => {
      this.told.push(isPaused ? "hold" : "release");
    },
  };

  constructor(options: { endpoint?: Endpoint; stream?: boolean } = {}) {
    const { endpoint = "openai-chat", stream = true } = options;
    this.exchange = new Exchange({
      task: aTask({
        endpoint,
        stream,
        createdAt: 0,
        deadline: 60_000,
        requestId: "req-1",
      }),
      queue: "tiny",
      reply: this.reply,
      host: this,
    });
  }

  over(_exchange: Exchange, outcome: Outcome): void {
    this.outcomes.push(outcome);
  }

  /** Reads the log from the cursor on, as the gateway does some time after `fill`. */
  readLog(): void {
    const { attempt, seq } = this.exchange.cursor;
    const news = this.log.filter((entry) => entry.attempt > attempt || entry.seq > seq);
    for (const entry of news) this.exchange.receive(entry);
  }

  beat(ndjson = false): void {
    this.exchange.beat(BEAT_MS, () => heartbeatOf(this.exchange.task, { ndjson, now: 0 }));
  }

  /** Lets so many ms pass, then looks whether a heartbeat is due. */
  pass(ms: number, ndjson = false): void {
    this.clock += ms;
    this.beat(ndjson);
  }

  get outcome(): Outcome {
    assert.equal(this.outcomes.length, 1, "over is told exactly once");
    return this.outcomes[0] as Outcome;
  }
}

const HEAD = { status: 200, contentType: "text/event-stream", worker: "w1" };

function frame(attempt: number, seq: number, text: string, end?: FrameEnd): Frame {
  const bytes = Buffer.from(text);
  return {
    task: "g.1",
    attempt,
    seq,
    bytes,
    ...(seq === 1 ? { head: HEAD } : {}),
    ...(end === undefined ? {} : { end }),
  };
}

/** The frames of a whole attempt: `a0`, `a1`, … and an empty last one that ends it. */
function attemptOf(attempt: number, name: string, count: number): Frame[] {
  const frames = Array.from({ length: count }, (_, index) => frame(attempt, index + 1, `${name}${index};`));
  return [...frames, frame(attempt, count + 1, "", {})];
}

function textOf(frames: readonly Frame[]): string {
  return frames.map(({ bytes }) => bytes.toString()).join("");
}

const BUSY: FrameEnd = { fault: faultToRecord(new Fault("backend_busy", "busy")) };

describe("the body of a request", () => {
  it("is kept as long as the task can run again, and no longer", () => {
    const rig = new Rig();
    rig.exchange.queued("1-1");
    rig.pass(BEAT_MS);
    assert.equal(rig.exchange.task.body.toString(), "{}");
    rig.exchange.receive(frame(5, 1, "a"));
    assert.equal(rig.exchange.task.body.length, 0);
    assert.equal(rig.exchange.bodyBytes, 2);
    assert.equal(rig.exchange.task.id, "g.1");
  });
});

describe("frames", () => {
  it("reach the client once and in order, however they come", () => {
    const arrivals = fc
      .integer({ min: 1, max: 12 })
      .chain((count) =>
        fc.tuple(
          fc.constant(count),
          fc.array(fc.integer({ min: 0, max: count }), { maxLength: 40 }),
          fc.infiniteStream(fc.boolean()),
        ),
      );
    fc.assert(
      fc.property(arrivals, ([count, order, full]) => {
        const rig = new Rig();
        const frames = attemptOf(5, "a", count);
        for (const index of order) {
          // Redis has a frame before the channel tells it.
          rig.log = frames.slice(0, Math.max(rig.log.length, index + 1));
          rig.reply.full = full.next().value;
          rig.exchange.receive(frames[index] as Frame);
          assert.ok(textOf(frames).startsWith(rig.reply.text));
          if (rig.fills > 0 && full.next().value) rig.readLog();
          if (full.next().value) rig.reply.drain();
        }
        rig.log = frames;
        rig.reply.drain();
        rig.readLog();
        assert.equal(rig.reply.text, textOf(frames));
        assert.equal(rig.reply.state, "ended");
        assert.equal(rig.outcome.fault, undefined);
      }),
    );
  });

  it("behind a gap ask for the log", () => {
    const rig = new Rig();
    rig.exchange.receive(frame(5, 2, "b"));
    assert.equal(rig.fills, 1);
    assert.equal(rig.reply.state, "waiting");
    assert.deepEqual(rig.exchange.cursor, { task: "g.1", attempt: 5, seq: 0 });
  });

  it("of an earlier attempt are dropped", () => {
    const rig = new Rig();
    rig.exchange.claimed(9);
    rig.exchange.receive(frame(5, 1, "old;"));
    for (const one of attemptOf(9, "b", 2)) rig.exchange.receive(one);
    assert.equal(rig.reply.text, "b0;b1;");
    assert.equal(rig.outcome.fault, undefined);
  });

  it("of a later attempt begin anew while nothing was written", () => {
    const rig = new Rig();
    rig.exchange.receive(frame(5, 2, "behind a gap"));
    for (const one of attemptOf(9, "b", 2)) rig.exchange.receive(one);
    assert.equal(rig.reply.text, "b0;b1;");
    assert.ok(rig.exchange.redelivered);
  });

  it("of a later attempt after bytes of an earlier one break the stream off", () => {
    const rig = new Rig();
    rig.exchange.receive(frame(5, 1, "data: 1\n\n"));
    rig.exchange.claimed(9);
    assert.equal(rig.reply.state, "streaming", "the claimant's own fault is awaited");
    rig.exchange.receive(frame(9, 1, "data: 1\n\n"));
    assert.equal(rig.reply.state, "ended");
    assert.match(rig.reply.text, /^data: 1\n\ndata: \{"error":\{.*\}\}\n\n$/);
    assert.equal(rig.outcome.fault?.code, "worker_lost");
    assert.ok(rig.outcome.abandon);
  });

  it("wait in the log while the socket is full", () => {
    const rig = new Rig();
    rig.reply.full = true;
    rig.exchange.receive(frame(5, 1, "a;"));
    rig.exchange.receive(frame(5, 2, "b;"));
    assert.equal(rig.reply.text, "a;");
    assert.equal(rig.fills, 0);
    rig.reply.drain();
    assert.equal(rig.fills, 1);
  });
});

describe("a reply in one piece", () => {
  it("is sent with its length, status and request id", () => {
    const rig = new Rig({ stream: false });
    rig.exchange.receive(frame(5, 1, "{}", {}));
    assert.equal(rig.reply.status, 200);
    assert.equal(rig.reply.text, "{}");
    assert.equal(rig.reply.headers.get("x-request-id"), "req-1");
    assert.equal(rig.outcome.status, 200);
  });

  it("that breaks after its head is cut, so that its client sees it", () => {
    const rig = new Rig({ stream: false });
    rig.exchange.receive(frame(5, 1, "{"));
    rig.exchange.receive(frame(5, 2, "", BUSY));
    assert.equal(rig.reply.state, "destroyed");
  });
});

describe("faults", () => {
  it("before the first byte have their own status", () => {
    const rig = new Rig();
    rig.exchange.receive(frame(5, 1, "", BUSY));
    assert.equal(rig.reply.status, 503);
    assert.equal(rig.reply.headers.get("retry-after"), "1");
    assert.equal(rig.outcome.status, 503);
    assert.equal(rig.outcome.fault?.code, "backend_busy");
  });

  it("in the frame of the first bytes come after them, within the stream", () => {
    const rig = new Rig();
    rig.exchange.receive(frame(5, 1, "data: 1\n\n", BUSY));
    assert.equal(rig.reply.status, 200);
    assert.match(rig.reply.text, /^data: 1\n\ndata: \{"error"/);
  });

  it("of the gateway end an exchange once", () => {
    const rig = new Rig();
    rig.exchange.fail(new Fault("deadline_exceeded", "late"));
    rig.exchange.fail(new Fault("draining", "stopping"));
    rig.exchange.receive(frame(5, 1, "late;"));
    assert.equal(rig.reply.status, 504);
    assert.equal(rig.outcome.fault?.code, "deadline_exceeded");
  });
});

describe("a client that leaves", () => {
  it("ends its exchange, whose worker is to be told", () => {
    const rig = new Rig();
    rig.exchange.receive(frame(5, 1, "a;"));
    rig.reply.leave();
    rig.exchange.receive(frame(5, 2, "b;", {}));
    assert.equal(rig.reply.text, "a;");
    assert.equal(rig.outcome.fault?.code, "cancelled");
    assert.ok(rig.outcome.abandon);
    assert.equal(rig.exchange.worker, "w1");
  });

  it("before any byte counts as 499", () => {
    const rig = new Rig();
    rig.reply.leave();
    assert.equal(rig.outcome.status, 499);
  });
});

describe("heartbeats", () => {
  const COMMENT = ": keep-alive\n\n";

  it("begin after a silence, commit the stream, and come again after each silence", () => {
    const rig = new Rig();
    rig.pass(BEAT_MS - 1);
    assert.equal(rig.reply.state, "waiting");
    rig.pass(1);
    assert.equal(rig.reply.status, 200);
    assert.equal(rig.reply.headers.get("content-type"), "text/event-stream");
    assert.equal(rig.reply.headers.get("cache-control"), "no-cache");
    assert.equal(rig.reply.text, COMMENT);
    rig.pass(BEAT_MS - 1);
    rig.pass(1);
    assert.equal(rig.reply.text, COMMENT + COMMENT);
    assert.equal(rig.exchange.begun, false);
  });

  it("are no answer: the first frame follows, and counts as the first byte", () => {
    const rig = new Rig();
    rig.pass(BEAT_MS);
    rig.pass(50);
    rig.exchange.receive(frame(5, 1, "data: 1\n\n"));
    rig.pass(BEAT_MS - 1);
    rig.exchange.receive(frame(5, 2, "", {}));
    assert.equal(rig.reply.text, `${COMMENT}data: 1\n\n`);
    assert.equal(rig.reply.state, "ended");
    assert.equal(rig.outcome.firstByteMs, BEAT_MS + 50);
  });

  it("let a later attempt begin", () => {
    const rig = new Rig();
    rig.exchange.receive(frame(5, 2, "behind a gap"));
    rig.pass(BEAT_MS);
    rig.exchange.claimed(9);
    for (const one of attemptOf(9, "b", 2)) rig.exchange.receive(one);
    assert.equal(rig.reply.text, `${COMMENT}b0;b1;`);
    assert.equal(rig.outcome.fault, undefined);
  });

  it("have committed the status: a later fault is told within the stream", () => {
    const rig = new Rig();
    rig.pass(BEAT_MS);
    rig.exchange.receive(frame(5, 1, "", BUSY));
    assert.equal(rig.reply.status, 200);
    assert.match(rig.reply.text, /^: keep-alive\n\ndata: \{"error":\{"message":"busy".*\}\}\n\n$/);
    assert.equal(rig.reply.state, "ended");
    assert.equal(rig.outcome.firstByteMs, undefined);
  });

  it("stop with the exchange, and while the socket is full", () => {
    const rig = new Rig();
    rig.reply.full = true;
    rig.pass(BEAT_MS);
    rig.pass(BEAT_MS);
    assert.equal(rig.reply.text, COMMENT);
    rig.reply.drain();
    for (const one of attemptOf(5, "a", 1)) rig.exchange.receive(one);
    rig.pass(BEAT_MS);
    assert.equal(rig.reply.text, `${COMMENT}a0;`);
  });

  it("are pings for Anthropic's clients", () => {
    const rig = new Rig({ endpoint: "anthropic-messages" });
    rig.pass(BEAT_MS);
    assert.equal(rig.reply.text, 'event: ping\ndata: {"type":"ping"}\n\n');
  });

  it("of NDJSON are asked for, and are objects with empty text", () => {
    for (const [endpoint, content] of [
      ["ollama-generate", { response: "" }],
      ["ollama-chat", { message: { role: "assistant", content: "" } }],
    ] as const) {
      const rig = new Rig({ endpoint });
      rig.pass(BEAT_MS);
      assert.equal(rig.reply.state, "waiting");
      rig.pass(0, true);
      assert.equal(rig.reply.headers.get("content-type"), "application/x-ndjson");
      assert.ok(rig.reply.text.endsWith("}\n"));
      const created_at = "1970-01-01T00:00:00.000Z";
      assert.deepEqual(JSON.parse(rig.reply.text), { model: "tiny", created_at, ...content, done: false });
    }
  });

  it("are not for replies in one piece, nor for vectors", () => {
    for (const options of [{ stream: false }, { endpoint: "openai-embeddings" }] as const) {
      const rig = new Rig(options);
      rig.pass(10 * BEAT_MS, true);
      assert.equal(rig.reply.state, "waiting");
    }
  });
});

describe("a client that is behind", () => {
  const PIECE = "x".repeat(100_000);
  const frames = Array.from({ length: 20 }, (_, index) => frame(5, index + 1, PIECE));

  it("has its backend held back, once, and let go when it has nearly caught up", () => {
    const rig = new Rig();
    rig.reply.full = true;
    for (const one of frames.slice(0, 8)) rig.exchange.receive(one);
    assert.deepEqual(rig.told, ["hold"]);
    assert.equal(rig.exchange.behind, 700_000);
    rig.log = frames.slice(0, 8);
    for (let reads = 0; rig.exchange.stalled; reads += 1) {
      assert.equal(rig.told.length > 1, rig.exchange.behind <= 128 * 1024);
      rig.reply.drain();
      rig.reply.full = reads < 6;
      rig.readLog();
    }
    assert.deepEqual(rig.told, ["hold", "release"]);
    assert.equal(rig.exchange.behind, 0);
  });

  it("is not counted twice for frames that come again", () => {
    const rig = new Rig();
    rig.reply.full = true;
    for (let round = 0; round < 5; round += 1) {
      for (const one of frames.slice(0, 3)) rig.exchange.receive(one);
    }
    assert.equal(rig.exchange.behind, 200_000);
    assert.deepEqual(rig.told, []);
  });

  it("that is cut gets no clean end and no error that it would not read", () => {
    const rig = new Rig();
    rig.reply.full = true;
    rig.exchange.receive(frame(5, 1, "a"));
    rig.exchange.fail(new Fault("slow_client", "it took nothing"));
    assert.equal(rig.reply.state, "destroyed");
    assert.equal(rig.reply.text, "a");
    assert.ok(rig.outcome.abandon);
  });

  it("that keeps up is not held back; what it has is cut off the reply stream now and then", () => {
    const rig = new Rig();
    for (let seq = 1; seq <= 100; seq += 1) rig.exchange.receive(frame(5, seq, PIECE));
    assert.deepEqual(rig.told, ["trim 42", "trim 84"]);
  });
});

describe("the phase", () => {
  it("does not follow heartbeats: a task that waits is queued, and its client leaves it so", () => {
    const rig = new Rig();
    rig.exchange.queued("1-1");
    rig.pass(BEAT_MS);
    rig.pass(BEAT_MS);
    assert.equal(rig.reply.text, ": keep-alive\n\n: keep-alive\n\n");
    assert.equal(rig.exchange.phase, "queued");
    rig.reply.leave();
    assert.equal(rig.outcome.goneIn, "queued");
  });

  it("follows claims, requeues and the first frame, with and without heartbeats between", () => {
    for (const beats of [false, true]) {
      const rig = new Rig();
      const phase = (): string => {
        if (beats) rig.pass(BEAT_MS);
        return rig.exchange.phase;
      };
      assert.equal(phase(), "opening");
      rig.exchange.queued("1-1");
      assert.equal(phase(), "queued");
      rig.exchange.runs("w1");
      assert.deepEqual([phase(), rig.exchange.holder], ["running", "w1"]);
      rig.exchange.noted(6, NOTE);
      assert.deepEqual([phase(), rig.exchange.holder], ["queued", undefined]);
      rig.exchange.claimed(7);
      assert.equal(phase(), "running");
      rig.exchange.waits();
      assert.equal(phase(), "queued");
      rig.exchange.receive(frame(9, 1, "data: 1\n\n"));
      assert.equal(phase(), "answering");
      rig.exchange.runs("w2");
      rig.exchange.waits();
      assert.equal(phase(), "answering", "what has begun is not taken back");
      rig.exchange.receive(frame(9, 2, "", {}));
      assert.equal(rig.exchange.phase, "ended");
      rig.exchange.runs("w2");
      assert.equal(rig.exchange.phase, "ended");
    }
  });

  it("is running for an answer in one piece until it is there", () => {
    const rig = new Rig({ stream: false });
    rig.exchange.queued("1-1");
    rig.exchange.runs("w1");
    assert.equal(rig.exchange.phase, "running");
    rig.reply.leave();
    assert.equal(rig.outcome.goneIn, "running");
  });
});
