import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { BODY_LIMITS } from "../../src/gateway/requests/body.ts";
import { LargeBodies } from "../../src/gateway/requests/large-bodies.ts";
import type { LargeBodiesOptions } from "../../src/gateway/requests/large-bodies.ts";
import { openSmallBody } from "../../src/gateway/requests/body.ts";
import type { BodyKind, OpenedBody } from "../../src/gateway/requests/body.ts";
import { formBody } from "../rig/multipart.ts";

function kindOf(endpoint: Endpoint): BodyKind {
  return { endpoint, contentType: "application/json" };
}

const always = (): boolean => true;

function large(t: TestContext, options: Partial<LargeBodiesOptions> = {}): LargeBodies {
  const bodies = new LargeBodies({ onDied: () => {}, ...options });
  t.after(() => bodies.close());
  return bodies;
}

/** A program for the thread, as a URL. */
function program(text: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

function chat(content: string): string {
  return JSON.stringify({ model: "tiny", stream: false, messages: [{ role: "user", content }] });
}

/** A chat with so many options. */
function many(count: number): string {
  const members = Array.from({ length: count }, (_, index) => `"k${index}":1`);
  return `{"model":"tiny","messages":[],"options":{${members.join()}}}`;
}

function own(text: string): Buffer {
  const body = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  body.write(text);
  return body;
}

async function opened(bodies: LargeBodies, text: string): Promise<OpenedBody> {
  return bodies.open(kindOf("ollama-chat"), own(text), always);
}

async function refused(opening: Promise<unknown>): Promise<Fault> {
  try {
    await opening;
  } catch (error) {
    assert.ok(error instanceof Fault, String(error));
    return error;
  }
  assert.fail("it was read");
}

describe("a large body", () => {
  it("is measured by the thread when its size is wanted", async (t) => {
    const bodies = large(t);
    const kind: BodyKind = { ...kindOf("ollama-chat"), measures: true };
    const { size } = await bodies.open(kind, own(chat("x".repeat(400_000))), always);
    assert.deepEqual(size, { inputTokens: 100_000, answers: 1 });
    assert.equal("size" in (await opened(bodies, chat("x"))), false);
  });

  it("may be a form, whose model is found behind its file", async (t) => {
    const file = { name: "file", filename: "a.wav", value: Buffer.alloc(300_000, "\r\n--") };
    const form = formBody("b", [file, { name: "model", value: "whisper-1" }]);
    const body = Buffer.allocUnsafeSlow(form.length);
    form.copy(body);
    const kind: BodyKind = {
      endpoint: "openai-transcriptions",
      contentType: 'multipart/form-data; boundary="b"',
    };
    const { bytes, ...rest } = await large(t).open(kind, body, always);
    assert.ok(bytes.equals(form));
    assert.deepEqual(rest, {
      model: "whisper-1",
      stream: false,
      keepsAlive: false,
      contentType: "multipart/form-data; boundary=b",
      modelAt: form.indexOf("whisper-1"),
    });
  });

  it("comes back as it went, without a copy, with what the gateway needs", async (t) => {
    const text = chat("wörds ".repeat(50_000));
    const body = own(`  ${text} and more`);
    const bodies = large(t);
    const { model, stream, bytes } = await bodies.open(kindOf("ollama-chat"), body, always);
    assert.deepEqual([model, stream, bytes.toString()], ["tiny", false, text]);
    assert.equal(body.length, 0, "its memory was handed over");
    assert.equal(bytes.buffer.byteLength, Buffer.byteLength(text) + 11, "and came back whole");
  });

  it("is refused with the fault of its dialect", async (t) => {
    const bodies = large(t);
    const cases: readonly (readonly [body: string, code: string, http: number])[] = [
      ["{", "bad_json", 400],
      ["[]", "invalid_request", 400],
      ['{"model":"tiny","messages":7}', "invalid_request", 400],
      [`{"model":"tiny","a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "invalid_request", 400],
      [`{"a":[${"1,".repeat(BODY_LIMITS.values)}1]}`, "request_too_large", 413],
      ["\u001f\u008b", "bad_json", 400],
    ];
    for (const [body, code, http] of cases) {
      const fault = await refused(opened(bodies, body));
      assert.deepEqual([fault.code, fault.http], [code, http], body.slice(0, 50));
    }
    assert.equal((await opened(bodies, chat("still there"))).model, "tiny");
  });

  it("is one of many members, too, whatever its bytes: these take the event loop ten times as long", async (t) => {
    assert.equal(openSmallBody(kindOf("ollama-chat"), own(many(1500)))?.model, "tiny");
    assert.equal(openSmallBody(kindOf("ollama-chat"), own(many(2500))), undefined);
    assert.equal((await opened(large(t), many(2500))).model, "tiny");
    assert.throws(() => openSmallBody(kindOf("ollama-chat"), own('{"model":"a","model":"b"}')), {
      code: "invalid_request",
    });
  });

  it("is refused with few words, however many it says of a model or a role", async (t) => {
    const bodies = large(t);
    const long = "x".repeat(10_000_000);
    const odd = `{"model":"m","max_tokens":1,"messages":[{"role":"${long}","content":"x"}]}`;
    const role = await refused(bodies.open(kindOf("anthropic-messages"), own(odd), always));
    assert.equal(role.code, "invalid_request");
    assert.ok(role.message.length < 20_000, `${role.message.length}`);
    const named = `{"model":"${long}","messages":[{"role":"user","content":"x"}]}`;
    const model = await refused(bodies.open(kindOf("openai-chat"), own(named), always));
    assert.equal(model.code, "model_not_found");
    assert.ok(model.message.length < 200, `${model.message.length}`);
  });

  it("of a million members is refused before it is read, and the event loop goes on", async (t) => {
    const bodies = large(t);
    await opened(bodies, chat("warm"));
    const members = Array.from({ length: 1_000_000 }, (_, index) => `"k${index.toString(36)}":1`);
    const body = own(`{"model":"tiny","options":{${members.join()}}}`);
    const before = process.threadCpuUsage();
    const fault = await refused(bodies.open(kindOf("ollama-generate"), body, always));
    const { user, system } = process.threadCpuUsage(before);
    assert.deepEqual([fault.code, fault.http], ["request_too_large", 413]);
    assert.match(fault.message, /more than 100000 members/);
    assert.ok(user + system < 100_000, `${(user + system) / 1000} ms of this thread`);
  });

  it("is read while the event loop has other things to do", async (t) => {
    const bodies = large(t);
    await opened(bodies, chat("warm"));
    const objects = Array.from({ length: 90_000 }, (_, index) => `{"a${index}":1}`).join();
    const body = own(`{"model":"tiny","messages":[],"tools":[],"format":{"type":"object","x":[${objects}]}}`);
    const before = process.threadCpuUsage();
    const { bytes } = await bodies.open(kindOf("ollama-chat"), body, always);
    const { user, system } = process.threadCpuUsage(before);
    assert.ok(user + system < 50_000, `${(user + system) / 1000} ms of this thread`);
    const start = process.threadCpuUsage();
    JSON.parse(bytes.toString());
    const reading = process.threadCpuUsage(start);
    t.diagnostic(`handed over ${(user + system) / 1000} ms, read here ${reading.user / 1000} ms`);
  });
});

describe("the thread for large bodies", () => {
  it("is replaced when it dies: who waits behind is served", async (t) => {
    const died: (string | undefined)[] = [];
    const thread = program(`
      import { parentPort } from "node:worker_threads";
      parentPort.on("message", ({ memory, from, to }) => {
        if (to - from === 5) process.exit(1);
        if (to - from === 6) throw new Error("odd");
        parentPort.postMessage({ model: "m", stream: true, memory, from, to }, [memory]);
      });`);
    const bodies = large(t, { thread, onDied: (error) => void died.push(error?.message) });
    const all = [
      opened(bodies, "fatal"),
      opened(bodies, "fine"),
      opened(bodies, "deadly"),
      opened(bodies, "ok"),
    ];
    const codes = await Promise.all(
      all.map(async (one) => one.then(({ bytes }) => bytes.toString()).catch((fault: Fault) => fault.code)),
    );
    assert.deepEqual(codes, ["internal", "fine", "internal", "ok"]);
    assert.deepEqual(died, [undefined, "odd"]);
    assert.equal(bodies.size, 0);
  });

  it("is given no body whose client has gone, and no more than fit", async (t) => {
    const bodies = large(t, { mostWaiting: 1 });
    let isWanted = true;
    const first = opened(bodies, chat("first"));
    const leaving = bodies.open(kindOf("ollama-chat"), own(chat("leaving")), () => isWanted);
    const tooMany = await refused(opened(bodies, chat("too many")));
    assert.deepEqual([tooMany.code, tooMany.retryAfter], ["overloaded", 1]);
    isWanted = false;
    const second = opened(bodies, chat("second"));
    assert.equal(bodies.size, 2, "the memory of a body without its client is not kept until its turn");
    assert.equal((await refused(leaving)).code, "cancelled");
    assert.equal((await first).model, "tiny");
    assert.equal((await second).model, "tiny");
  });

  it("ends when it rests, and comes again", async (t) => {
    const bodies = large(t, { idleMs: 1 });
    for (let n = 0; n < 3; n += 1) {
      assert.equal((await opened(bodies, chat("again"))).model, "tiny");
      assert.ok(bodies.running);
      while (bodies.running) await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it("refuses what waits when it is closed", async (t) => {
    const bodies = large(t);
    const waiting = [opened(bodies, chat("one")), opened(bodies, chat("two"))].map(refused);
    bodies.close();
    const codes = (await Promise.all(waiting)).map(({ code }) => code);
    assert.deepEqual(codes, ["draining", "draining"]);
  });
});
