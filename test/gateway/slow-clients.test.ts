import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Frame } from "../../src/core/frame.ts";
import { SlowClients } from "../../src/gateway/requests/slow-clients.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { exchangeOf, type ExchangeRig } from "./exchange-rig.ts";
import { openStores } from "../../src/redis/stores.ts";

/** Clients of which one has a full socket, and what is published for it. */
class Rig {
  readonly client: ExchangeRig = exchangeOf("g.1");
  readonly published: string[] = [];
  readonly slow: SlowClients;
  /** Ms from now. */
  clock = 0;
  /** Ms that the gateway itself stood still since the client took something. */
  stalledMs = 0;

  constructor() {
    const from = performance.now();
    const connection: Connection = {
      ready: true,
      sharded: false,
      everywhere: async () => [],
      command: async (...args) => void this.published.push(args.slice(1).join(" ")),
      subscribe: async () => {},
      serverOf: () => undefined,
      onReconnect: () => {},
      onDown: () => {},
      close: () => {},
    };
    const mono = (): number => from + this.clock;
    const stalls = { since: () => this.stalledMs };
    this.slow = new SlowClients({
      stores: openStores(connection, new Keys("sgnet")),
      patienceMs: 10_000,
      mono,
      stalls,
    });
    this.client.reply.full = true;
    this.client.exchange.receive(frame(1, 10));
  }

  /** Lets so many ms pass in steps of half a second, with a look each. */
  pass(ms: number): void {
    for (const end = this.clock + ms; this.clock < end; this.clock += 500) {
      this.slow.check(this.client.exchange);
    }
  }
}

function frame(seq: number, bytes: number): Frame {
  const head = { status: 200, contentType: "text/event-stream", worker: "w1" };
  return { task: "g.1", attempt: 5, seq, bytes: Buffer.alloc(bytes, "x"), ...(seq === 1 ? { head } : {}) };
}

describe("a slow client", () => {
  it("has its worker told to pause, again and again, and to resume once", () => {
    const rig = new Rig();
    rig.slow.pause(rig.client.exchange, true);
    assert.equal(rig.slow.paused, 1);
    rig.pass(6000);
    assert.deepEqual(rig.published, Array<string>(3).fill("sgnet:ctl:w1 pause g.1"));
    rig.slow.pause(rig.client.exchange, false);
    rig.pass(2000);
    assert.deepEqual(rig.published.slice(3), ["sgnet:ctl:w1 resume g.1"]);
    assert.equal(rig.slow.paused, 0);
  });

  it("is cut when it has taken nothing for too long, and forgotten", () => {
    const rig = new Rig();
    rig.pass(10_000);
    assert.equal(rig.client.reply.state, "streaming");
    rig.pass(1000);
    assert.equal(rig.client.reply.state, "destroyed");
    assert.equal(rig.client.outcomes[0]?.fault?.code, "slow_client");
    rig.slow.pause(rig.client.exchange, true);
    rig.slow.forget(rig.client.exchange);
    assert.equal(rig.slow.paused, 0);
  });

  it("is cut when far too much waits for it, as from a worker that does not know how to pause", () => {
    const rig = new Rig();
    for (let seq = 2; seq < 9; seq += 1) rig.client.exchange.receive(frame(seq, 10_000_000));
    rig.pass(500);
    assert.equal(rig.client.outcomes[0]?.fault?.code, "slow_client");
  });

  it("that takes something now and then is not cut", () => {
    const rig = new Rig();
    rig.client.reply.drain();
    rig.pass(60_000);
    assert.equal(rig.client.reply.state, "streaming");
  });

  it("is not cut for time in which the gateway itself stood still", () => {
    const rig = new Rig();
    rig.stalledMs = 9000;
    rig.pass(18_500);
    assert.equal(rig.client.exchange.phase, "answering");
    rig.pass(2000);
    assert.equal(rig.client.exchange.phase, "ended");
  });
});
