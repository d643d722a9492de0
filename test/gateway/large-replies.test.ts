import assert from "node:assert/strict";
import test from "node:test";
import { Replies } from "../../src/gateway/replies.ts";
import { Keys } from "../../src/redis/keys.ts";
import { FakeConnection } from "../redis/fake-connection.ts";
import { exchangeOf } from "./exchange-rig.ts";

const LOOK_MS = 500;
const ignore = (): void => {};

test("a large reply that waits for room is not looked for as if it were lost: that would fetch it all the same", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let at = performance.now();
  let silent = 0;
  let room = false;
  const replies = new Replies({
    connection: new FakeConnection(),
    keys: new Keys("test"),
    mono: () => at,
    stalls: { since: () => 0, latest: () => 0 },
    hasRoom: () => room,
    onGapFilled: ignore,
    onFrames: ignore,
    onLook: ignore,
    onOverdue: ignore,
    onSilent: () => (silent += 1),
    onBadPayload: ignore,
  });
  const { exchange } = exchangeOf("g.1", { stream: false });
  replies.add(exchange);
  exchange.receive({ task: "g.1", attempt: 1, seq: Number.MAX_SAFE_INTEGER, bytes: Buffer.alloc(0) });
  replies.start();
  t.after(() => replies.stop());
  /** As long as a reply may be silent before its gateway looks what became of it. */
  const wait = (): void => {
    for (const ms of [1001, 2001, 4001, 8001]) {
      at += ms;
      t.mock.timers.tick(LOOK_MS);
    }
  };
  wait();
  assert.equal(silent, 0);
  room = true;
  wait();
  assert.equal(silent, 1);
});
