import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import { Dispatcher } from "../../src/gateway/requests/dispatcher.ts";
import { ReplyRouter } from "../../src/gateway/requests/reply-router.ts";
import { SlowClients } from "../../src/gateway/requests/slow-clients.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { until } from "../rig/until.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { exchangeOf } from "./exchange-rig.ts";
import { FakeReply } from "./fake-reply.ts";

const HEAD = { status: 200, contentType: "application/x-ndjson", worker: "w1" };

/** A dispatcher whose queue answers as the test says. */
class Rig {
  /** All that happened, in its order. */
  readonly events: string[] = [];
  readonly replies: ReplyRouter;
  readonly dispatcher: Dispatcher;
  readonly reply: FakeReply = new FakeReply();
  readonly outcomes: Outcome[] = [];

  constructor(answers: readonly (string | Error)[]) {
    const stores = openStores(new FakeConnection(), new Keys("test"));
    const stalls = { since: () => 0 };
    const quiet = { log: { warn: () => {} }, metrics: { frames: () => {}, gapFilled: () => {} } };
    this.replies = new ReplyRouter({ stores, ...quiet, stalls, hasRoom: () => true });
    const rest = [...answers];
    const say = (event: string): number => this.events.push(event);
    this.dispatcher = new Dispatcher({
      tag: "g",
      replies: this.replies,
      slowClients: new SlowClients({ stores, patienceMs: 1000, mono: () => 0, stalls }),
      enqueuer: {
        enqueue: async (task, queue, life) => {
          say(`enqueue ${task.id} ${queue}${life === undefined ? "" : " again"}`);
          const answer = rest.shift();
          if (typeof answer === "string") return answer;
          throw answer ?? new Error("no answer");
        },
      },
      outageBuffer: { passed: async () => void say("passed") },
      cleaner: {
        abandoned: ({ entry }) => say(`abandoned ${entry}`),
        answered: () => say("answered"),
      },
      admission: { opened: () => say("opened"), ended: () => say("ended") },
      observers: [
        {
          accepted: (exchange) => {
            say("accepted");
            exchange.carryTrace("00-a-b-01");
          },
          queued: ({ entry }) => say(`queued ${entry}`),
          ended: ({ task }, { status }) => say(`ended ${status} ${task.trace}`),
        },
      ],
    });
  }

  accept(): string {
    const id = this.dispatcher.newTaskId();
    this.dispatcher.watch(id, (outcome) => this.outcomes.push(outcome));
    this.dispatcher.accept({ ...exchangeOf(id).exchange.task, id }, "tiny", this.reply);
    return id;
  }
}

const CUT = new Fault("redis_down", "the connection broke");

describe("a dispatcher", () => {
  it("opens a task, queues it with the trace of an observer, and closes it once", async () => {
    const rig = new Rig(["1-1"]);
    const task = rig.accept();
    assert.equal(task, "g.1");
    assert.equal(rig.replies.size, 1);
    await until("the entry", () => rig.events.includes("queued 1-1"));
    const [exchange] = rig.replies.all();
    exchange?.receive({ task, attempt: 1, seq: 1, head: HEAD, bytes: Buffer.from("{}"), end: {} });
    assert.equal(rig.replies.size, 0);
    assert.deepEqual(rig.events, [
      "opened",
      "accepted",
      "enqueue g.1 tiny",
      "queued 1-1",
      "ended",
      "answered",
      "ended 200 00-a-b-01",
    ]);
    assert.deepEqual(
      rig.outcomes.map(({ fault }) => fault),
      [undefined],
    );
    assert.equal(rig.dispatcher.newTaskId(), "g.2");
  });

  it("queues a task once more when the connection broke, and then removes both copies at its end", async () => {
    const rig = new Rig([CUT, "2-1"]);
    const task = rig.accept();
    await until("the entry", () => rig.events.includes("queued 2-1"));
    assert.deepEqual(rig.events.slice(2, 5), ["enqueue g.1 tiny", "passed", "enqueue g.1 tiny again"]);
    const [exchange] = rig.replies.all();
    exchange?.receive({ task, attempt: 1, seq: 1, head: HEAD, bytes: Buffer.from("{}"), end: {} });
    assert.ok(rig.events.includes("abandoned 2-1"));
    assert.ok(!rig.events.includes("answered"));
  });

  it("does not queue a task again that a worker has already", async () => {
    const rig = new Rig([CUT]);
    const task = rig.accept();
    rig.replies.all()[0]?.claimed(3);
    await until("the end of the outage", () => rig.events.includes("passed"));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(rig.events.filter((event) => event.startsWith("enqueue")).length, 1);
    assert.equal(rig.replies.all()[0]?.task.id, task);
    assert.deepEqual(rig.outcomes, []);
  });

  it("ends a task that Redis refuses, in its client's dialect", async () => {
    const rig = new Rig([new Fault("invalid_request", "no")]);
    rig.accept();
    await until("the end", () => rig.outcomes.length === 1);
    assert.equal(rig.outcomes[0]?.fault?.code, "invalid_request");
    assert.equal(rig.reply.status, 400);
  });

  it("takes an entry back that Redis confirmed after the client was gone", async () => {
    const rig = new Rig(["1-1"]);
    rig.accept();
    rig.reply.leave();
    await until("the removal", () => rig.events.includes("abandoned 1-1"));
    assert.equal(rig.outcomes[0]?.status, 499);
  });
});
