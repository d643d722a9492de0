import assert from "node:assert/strict";
import test from "node:test";
import { ReplyRouter } from "../../src/gateway/requests/reply-router.ts";
import { Watchdog } from "../../src/gateway/requests/watchdog.ts";
import { Keys } from "../../src/redis/keys.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { exchangeOf } from "./exchange-rig.ts";
import { openStores } from "../../src/redis/stores.ts";

const LOOK_MS = 500;
const ignore = (): void => {};

test("a large reply that waits for room is not looked for as if it were lost: that would fetch it all the same", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let at = performance.now();
  let silent = 0;
  let room = false;
  const stalls = { since: () => 0, latest: () => 0 };
  const replies = new ReplyRouter({
    stores: openStores(new FakeConnection(), new Keys("test")),
    log: { warn: ignore },
    metrics: { frames: ignore, gapFilled: ignore },
    stalls,
    hasRoom: () => room,
  });
  const watchdog = new Watchdog({
    replies,
    queueTimeout: { check: ignore },
    recovery: { silent: () => (silent += 1) },
    slowClients: { check: ignore, keepReplies: ignore },
    heartbeats: { check: ignore },
    mono: () => at,
    stalls,
  });
  const { exchange } = exchangeOf("g.1", { stream: false });
  replies.add(exchange);
  exchange.receive({ task: "g.1", attempt: 1, seq: Number.MAX_SAFE_INTEGER, bytes: Buffer.alloc(0) });
  watchdog.start();
  t.after(() => watchdog.stop());
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
