import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { queueFor } from "../../src/core/ability.ts";
import type { Task } from "../../src/core/task.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import type { HttpReply } from "../../src/gateway/http/http.ts";
import { rerun } from "../../src/gateway/dead-letters/rerun.ts";
import { aTask } from "../rig/task.ts";

const NOW = 1_000_000;
const LIMITS = { queueUntil: 4000, firstTokenMs: 10, idleMs: 20 };
const OLD: Task = aTask({
  id: "g1.1",
  endpoint: "ollama-chat",
  model: "Tiny",
  createdAt: 1000,
  deadline: 6000,
  requestId: "r1",
  limits: { ...LIMITS, connectMs: 5 },
});

function host() {
  const seen: {
    task?: Task;
    model?: string;
    admitted?: string;
    reply?: HttpReply;
    onOver?: (outcome: Outcome) => void;
  } = {};
  return {
    seen,
    now: () => NOW,
    newTaskId: () => "g2.1",
    admit: (model: string, bytes: number) => Object.assign(seen, { admitted: `${model} ${bytes}` }),
    accept: (task: Task, model: string, reply: HttpReply) => Object.assign(seen, { task, model, reply }),
    watch: (_task: string, onOver: (outcome: Outcome) => void) => Object.assign(seen, { onOver }),
  };
}

describe("running a dead letter again", () => {
  it("makes a new task of it, with as much time as the old one had", () => {
    const its = host();
    assert.equal(rerun(its, { model: "tiny", task: OLD, body: OLD.body }).task, "g2.1");
    assert.equal(its.seen.model, "tiny");
    assert.equal(its.seen.admitted, "tiny 2", "like any other request");
    assert.deepEqual(its.seen.task, {
      ...OLD,
      id: "g2.1",
      createdAt: NOW,
      deadline: NOW + 5000,
      limits: { ...OLD.limits, queueUntil: NOW + 3000 },
    });
  });

  it("keeps what is known of a form, and the ability queue of its endpoint", () => {
    const its = host();
    const form = { contentType: "multipart/form-data; boundary=b", modelAt: 7 };
    const task: Task = { ...OLD, endpoint: "openai-transcriptions", ...form };
    rerun(its, { model: "tiny", task, body: OLD.body });
    assert.deepEqual([its.seen.task?.contentType, its.seen.task?.modelAt], [form.contentType, form.modelAt]);
    assert.equal(its.seen.model, queueFor("tiny", "openai-transcriptions"));
  });

  it("leaves out what an older task does not limit", () => {
    const its = host();
    const { limits: _, ...older } = OLD;
    rerun(its, { model: "tiny", task: older, body: OLD.body });
    assert.ok(!Object.hasOwn(its.seen.task ?? {}, "limits"));
  });

  it("passes on the reply, and stops when the reply is no longer wanted", async () => {
    const its = host();
    const pieces: string[] = [];
    const run = rerun(its, { model: "tiny", task: OLD, body: OLD.body }, (bytes) =>
      pieces.push(String(bytes)),
    );
    let aborted = false;
    its.seen.reply?.onGone(() => (aborted = true));
    its.seen.reply?.start(200, [["content-type", "application/x-ndjson"]], Buffer.from("a"));
    run.cancel();
    assert.equal(aborted, true);
    assert.equal((await run.answer).status, 499);
    assert.deepEqual(pieces, ["a"]);
    its.seen.onOver?.({ totalMs: 5 } as Outcome);
    assert.equal((await run.outcome).totalMs, 5);
  });
});
