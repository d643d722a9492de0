import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import { asEntries } from "../../src/redis/connection/resp.ts";
import type { ClaimState } from "../../src/redis/reply-store.ts";
import type { EmitResult, OutgoingFrame } from "../../src/redis/outgoing-frames.ts";
import { decodeFrames, encodeFrame } from "../../src/wire/frame-codec.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

const TAG = "gtest";
let rig: RedisRig;
let count = 0;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

async function openTask(): Promise<string> {
  count += 1;
  const id = `${TAG}.${count}`;
  await rig.stores.replies.open([{ id, life: 60_000 }]);
  return id;
}

function frame(task: string, attempt: number, seq: number, last = false): OutgoingFrame {
  const end = last ? { end: { totalMs: 1 } } : {};
  return {
    task,
    attempt,
    seq,
    last,
    bytes: encodeFrame({ task, attempt, seq, bytes: Buffer.from("x"), ...end }),
  };
}

/** The only frame of a task, of so many MiB. */
function sized(task: string, mebibytes: number): OutgoingFrame {
  const bytes = Buffer.alloc(mebibytes * 1024 * 1024, "x");
  return { task, attempt: 1, seq: 1, last: true, bytes: encodeFrame({ task, attempt: 1, seq: 1, bytes }) };
}

async function send(...frames: OutgoingFrame[]): Promise<EmitResult[]> {
  return rig.stores.replies.emit(TAG, frames);
}

async function claim(task: string, attempt: number): Promise<ClaimState> {
  return (await rig.stores.replies.claim({ task, attempt, worker: "w2" })).state;
}

describe("emit", () => {
  it("accepts frames in order and again, refuses a fenced attempt and a reply that is gone", async () => {
    const task = await openTask();
    assert.deepEqual(await send(frame(task, 5, 1)), ["accepted"]);
    assert.deepEqual(await send(frame(task, 5, 2)), ["accepted"]);
    assert.deepEqual(await send(frame(task, 5, 1), frame(task, 5, 2)), ["accepted", "accepted"], "repeated");
    assert.deepEqual(await send(frame(task, 4, 3)), ["fenced"]);
    assert.equal(await claim(task, 6), "begun");
    assert.deepEqual(await send(frame(task, 6, 1)), ["accepted"]);
    assert.deepEqual(await send(frame(task, 5, 3)), ["fenced"]);
    await rig.stores.replies.drop([task]);
    assert.deepEqual(await send(frame(task, 6, 2)), ["gone"]);
    assert.deepEqual([...(await rig.stores.replies.openAmong([task]))], []);
  });

  it("lets no worker without a claim break into an answer that has begun", async () => {
    const task = await openTask();
    assert.deepEqual(await send(frame(task, 5, 1)), ["accepted"]);
    assert.deepEqual(await send(frame(task, 6, 1)), ["gone"], "it was queued again");
    assert.deepEqual(await send(frame(task, 5, 2, true)), ["accepted"]);
    assert.deepEqual(await send(frame(task, 6, 1)), ["gone"], "it is over");
  });

  it("publishes exactly the accepted frames", async () => {
    const task = await openTask();
    const listener = await rig.connect();
    const messages: Buffer[] = [];
    const second = Promise.withResolvers<void>();
    await listener.subscribe(rig.keys.channel(TAG), (message) => {
      messages.push(message);
      if (messages.length === 2) second.resolve();
    });
    await send(frame(task, 2, 1), frame(task, 1, 1), frame(task, 2, 2));
    await send(frame(task, 1, 9));
    await send(frame(task, 2, 2));
    await send(frame(task, 2, 3, true));
    await second.promise;
    const ids = messages
      .flatMap((message) => decodeFrames(message))
      .map((one) => `${one.attempt}-${one.seq}`);
    assert.deepEqual(ids, ["2-1", "2-2", "2-3"]);
  });

  it("publishes a nudge in place of a frame that is too large, and no message of more than 4 MiB", async () => {
    const listener = await rig.connect();
    const messages: Buffer[] = [];
    const last = Promise.withResolvers<void>();
    const [huge, some, more, small] = [
      await openTask(),
      await openTask(),
      await openTask(),
      await openTask(),
    ];
    await listener.subscribe(rig.keys.channel(TAG), (message) => {
      messages.push(message);
      if (message.includes("the end")) last.resolve();
    });
    const results = await send(frame(small, 1, 1), sized(some, 3), sized(huge, 5), sized(more, 3));
    assert.deepEqual(results, ["accepted", "accepted", "accepted", "accepted"]);
    assert.deepEqual(await send({ ...sized(huge, 5), attempt: 0 }), ["fenced"], "nothing is said of it");
    const closing = encodeFrame({ task: small, attempt: 1, seq: 2, bytes: Buffer.from("the end") });
    await send({ task: small, attempt: 1, seq: 2, last: true, bytes: closing });
    await last.promise;
    const told = messages.map((message) =>
      decodeFrames(message).map(({ task, attempt, seq, bytes }) => [task, attempt, seq, bytes.length]),
    );
    const mebibyte = 1024 * 1024;
    assert.deepEqual(told, [
      [
        [small, 1, 1, 1],
        [some, 1, 1, 3 * mebibyte],
      ],
      [[huge, 1, Number.MAX_SAFE_INTEGER, 0]],
      [[more, 1, 1, 3 * mebibyte]],
      [[small, 1, 2, 7]],
    ]);
    const stored = await rig.stores.replies.read([{ task: huge, attempt: 0, seq: 0 }], 10);
    const [record] = stored.get(huge) ?? [];
    assert.ok(record?.type === "frame" && record.bytes.length > 5 * mebibyte);
  });

  it("lets an ended reply expire", async () => {
    const task = await openTask();
    await send(frame(task, 1, 1, true));
    const life = Number(await rig.connection.command("PTTL", rig.keys.reply(task)));
    assert.ok(life > 0 && life <= 60_000, `life is ${life}`);
  });
});

describe("claim", () => {
  it("tells a fresh, a begun, an answered and a gone reply apart", async () => {
    const task = await openTask();
    assert.equal(await claim(task, 3), "fresh");
    assert.deepEqual(await send(frame(task, 2, 1)), ["fenced"]);
    await send(frame(task, 3, 1));
    assert.equal(await claim(task, 4), "begun");
    assert.equal(await claim(task, 5), "begun", "also when the claimant before died at once");
    await send(frame(task, 5, 1, true));
    assert.equal(await claim(task, 6), "answered");
    await rig.stores.replies.drop([task]);
    assert.equal(await claim(task, 7), "gone");
  });

  it("raises the attempt above what is there, whatever the claimant's clock says", async () => {
    const task = await openTask();
    await send(frame(task, 2 ** 52, 1));
    const { attempt } = await rig.stores.replies.claim({ task, attempt: 7, worker: "w2" });
    assert.equal(attempt, 2 ** 52 + 1);
    assert.deepEqual(await send(frame(task, attempt, 1)), ["accepted"]);
  });
});

describe("a Redis that is out of memory", () => {
  it("refuses frames without fencing them, and new tasks as an outage; both work again afterwards", async () => {
    const task = await openTask();
    await rig.connection.command("CONFIG", "SET", "maxmemory", "1");
    try {
      assert.deepEqual(await send(frame(task, 3, 1)), ["refused"]);
      await assert.rejects(openTask(), { code: "redis_down" });
    } finally {
      await rig.connection.command("CONFIG", "SET", "maxmemory", "0");
    }
    assert.deepEqual(await send(frame(task, 3, 1)), ["accepted"]);
  });
});

describe("read", () => {
  it("gives what follows the cursor, claims included", async () => {
    const task = await openTask();
    await send(frame(task, 1, 1), frame(task, 1, 2));
    await claim(task, 2);
    await send(frame(task, 2, 1));
    const records = await rig.stores.replies.read([{ task, attempt: 1, seq: 1 }], 10);
    const seen = (records.get(task) ?? []).map((record) =>
      record.type === "claim"
        ? `claim ${record.attempt}`
        : decodeFrames(record.bytes)
            .map((one) => one.seq)
            .join(),
    );
    assert.deepEqual(seen, ["2", "claim 2", "1"]);
    const none = await rig.stores.replies.read([{ task, attempt: 2, seq: 1 }], 10);
    assert.equal(none.size, 0);
  });
});

/** One step of one of two workers that both believe they have the task. */
type Step =
  | { readonly do: "emit" | "last" | "repeat"; readonly worker: 0 | 1 }
  | { readonly do: "claim"; readonly worker: 0 | 1; readonly skew: number };

const worker = fc.constantFrom(0 as const, 1 as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom("emit" as const, "emit" as const, "last" as const, "repeat" as const),
    worker,
  }),
  fc.record({ do: fc.constant("claim" as const), worker, skew: fc.integer({ min: -3, max: 3 }) }),
);

describe("two workers with one task, any interleaving", () => {
  it("leave one log: attempts only grow, no hole, no double, nothing after the end", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const task = await openTask();
        await play(task, steps);
        await checkLog(task);
      }),
      { numRuns: 150 },
    );
  });
});

async function play(task: string, steps: readonly Step[]): Promise<void> {
  // Far apart and never the same: in the product attempts are the time and 12 random bits.
  const workers = [
    { attempt: 1_000_000, seq: 0, stopped: false },
    { attempt: 1_000_500, seq: 0, stopped: false },
  ];
  let claims = 0;
  for (const one of steps) {
    const state = workers[one.worker];
    if (state === undefined) continue;
    if (one.do === "claim") {
      claims += 1;
      const proposed = state.attempt + one.skew * 1000 + claims * 7;
      const result = await rig.stores.replies.claim({ task, attempt: proposed, worker: "w" });
      if (result.state === "fresh" || result.state === "begun") {
        Object.assign(state, { attempt: result.attempt, seq: 0, stopped: false });
      }
    } else if (!state.stopped) {
      if (one.do !== "repeat" || state.seq === 0) state.seq += 1;
      const [result] = await send(frame(task, state.attempt, state.seq, one.do === "last"));
      state.stopped = result !== "accepted" || one.do === "last";
    }
  }
}

async function checkLog(task: string): Promise<void> {
  const entries = asEntries(await rig.connection.command("XRANGE", rig.keys.reply(task), "-", "+"));
  let attempt = 0;
  let seq = 1;
  let ended = false;
  for (const entry of entries) {
    const [a, s] = entry.id.split("-").map(Number);
    assert.ok(!ended || (a ?? 0) > attempt, "nothing of the attempt follows its end");
    assert.ok((a ?? 0) >= attempt, "attempts only grow");
    assert.ok(
      a === attempt || attempt === 0 || seq === 0 || s === 0,
      "who breaks into an answer has claimed it",
    );
    if (a !== attempt) seq = s === 0 ? 0 : 1;
    else seq += 1;
    assert.equal(s, seq, "no hole");
    attempt = a ?? 0;
    ended = entry.fields[0]?.toString() === "e";
  }
}
