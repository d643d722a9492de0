import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { AttemptNote } from "../../src/core/attempt-note.ts";
import { decodeFrames, encodeFrame } from "../../src/wire/frame-codec.ts";
import { until } from "../rig/until.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import type { OutgoingFrame } from "../../src/redis/outgoing-frames.ts";

const NOTE: AttemptNote = {
  worker: "w1",
  backend: "b1",
  code: "backend_error",
  cause: "backend",
  http: 500,
  ms: 3,
  asked: true,
};

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
  const id = `gnotes.${count}`;
  await rig.stores.replies.open([{ id, life: 60_000 }]);
  return id;
}

function firstFrame(task: string, attempt: number): OutgoingFrame {
  const bytes = encodeFrame({ task, attempt, seq: 1, bytes: Buffer.from("x") });
  return { task, attempt, seq: 1, last: false, bytes };
}

describe("the note on an attempt that was requeued", () => {
  it("is given to the worker that claims the task next, and counts as no attempt", async () => {
    const { stores } = rig;
    const task = await openTask();
    assert.equal(await stores.replies.addNote({ task, attempt: 10, note: NOTE }), true);
    const claim = await stores.replies.claim({ task, attempt: 20, worker: "w2" });
    assert.deepEqual(claim, { state: "fresh", attempt: 20, ordinal: 2, earlier: [NOTE] });
    const second = { ...NOTE, worker: "w2", code: "backend_busy" };
    await stores.replies.addNote({ task, attempt: 20, note: second });
    const third = await stores.replies.claim({ task, attempt: 30, worker: "w3" });
    assert.deepEqual([third.ordinal, third.earlier], [3, [NOTE, second]]);
    assert.deepEqual(await stores.replies.emit("gnotes", [firstFrame(task, 30)]), ["accepted"]);
  });

  it("comes to its gateway by the channel and in the reply stream, as a mark that older gateways know", async () => {
    const { keys, stores } = rig;
    const task = await openTask();
    const heard: Buffer[] = [];
    await (await rig.connect()).subscribe(keys.channel("gnotes"), (message) => void heard.push(message));
    await stores.replies.addNote({ task, attempt: 10, note: NOTE });
    await until("the note", () => heard.length > 0);
    const [frame] = decodeFrames(heard[0] ?? Buffer.alloc(0));
    assert.deepEqual([frame?.task, frame?.attempt, frame?.seq, frame?.note], [task, 11, 0, NOTE]);
    const records = await stores.replies.read([{ task, attempt: 0, seq: 0 }], 10);
    assert.deepEqual(records.get(task), [{ type: "claim", attempt: 11, notes: [NOTE] }]);
  });

  it("is not written when the reply is gone, or another attempt has begun", async () => {
    const { stores } = rig;
    assert.equal(await stores.replies.addNote({ task: "gnotes.none", attempt: 10, note: NOTE }), false);
    const task = await openTask();
    await stores.replies.claim({ task, attempt: 20, worker: "w2" });
    assert.equal(await stores.replies.addNote({ task, attempt: 10, note: NOTE }), false);
    assert.deepEqual(await stores.replies.readNotes(task), []);
  });

  it("does not fence a first delivery of a task that was queued again", async () => {
    const { stores } = rig;
    const task = await openTask();
    await stores.replies.addNote({ task, attempt: 10, note: NOTE });
    assert.deepEqual(await stores.replies.emit("gnotes", [firstFrame(task, 40)]), ["accepted"]);
  });

  it("stands beside those on workers that were lost", async () => {
    const { stores } = rig;
    const task = await openTask();
    await stores.replies.claim({ task, attempt: 20, worker: "w2", lost: "w1" });
    await stores.replies.addNote({
      task,
      attempt: 20,
      note: { ...NOTE, worker: "w2" },
    });
    const told = await stores.replies.readNotes(task);
    assert.deepEqual(
      told.map(({ worker, code, cause }) => `${worker} ${code} ${cause}`),
      ["w1 worker_lost worker", "w2 backend_error backend"],
    );
  });
});
