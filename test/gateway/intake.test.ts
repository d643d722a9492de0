import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { Task } from "../../src/core/task.ts";
import type { HttpRequest } from "../../src/gateway/http/http.ts";
import { TimeoutPolicy } from "../../src/core/timeout-policy.ts";
import { FakeReply } from "./fake-reply.ts";
import { intakeOf, NO_HEADERS } from "./intake-rig.ts";
import type { IntakeRigOptions } from "./intake-rig.ts";

interface Taken {
  readonly task: Task | undefined;
  readonly reply: FakeReply;
}

const policy = new TimeoutPolicy({
  queueTimeoutMs: 0,
  connectTimeoutMs: 10,
  firstTokenTimeoutMs: 20,
  idleTimeoutMs: 30,
  taskTimeoutMs: 5000,
  modelTimeouts: "other total=1; TINY:latest idle=0, queue=700",
});

/** @param openLarge reads large bodies: no body of most tests is for a thread */
function take(
  body: Buffer,
  timeouts = "",
  apiKey = "",
  openLarge: NonNullable<IntakeRigOptions["openLarge"]> = () => assert.fail("too large for this test"),
): Taken {
  const accepted: Task[] = [];
  const intake = intakeOf({
    timeouts: policy,
    models: ["tiny"],
    isAdmin: (headers) => headers.apiKey === "chief",
    openLarge,
    onAccepted: (task) => accepted.push(task),
  });
  const request: HttpRequest = {
    method: "POST",
    path: "/api/generate",
    query: "",
    headers: { ...NO_HEADERS, timeouts, apiKey },
    body,
    remote: "",
  };
  const reply = new FakeReply();
  intake.take("ollama-generate", request, reply);
  return { task: accepted[0], reply };
}

const BODY = '{"model":"tiny","prompt":"say \\"}{\\""}';

describe("the body of a request", () => {
  it("is forwarded as it is, without a copy", () => {
    const body = Buffer.from(` ${BODY}\n`);
    assert.equal(take(body).task?.body, body);
  });

  for (const rest of [" xyz", "{", "}", `\n${BODY}`]) {
    it(`ends with its first JSON value, before ${JSON.stringify(rest)}`, () => {
      assert.equal(take(Buffer.from(BODY + rest)).task?.body.toString(), BODY);
    });
  }

  const refusals: readonly (readonly [body: string, message: string])[] = [
    ["", "missing request body"],
    ['{"model":"tiny"', "unexpected EOF"],
    ["not json", "the request body is not valid JSON"],
    ['{"model":tiny} {}', "the request body is not valid JSON"],
    ["[]", "the request body must be a JSON object"],
    ["[] {}", "the request body must be a JSON object"],
    ["1", "the request body must be a JSON object"],
  ];
  for (const [body, message] of refusals) {
    it(`${JSON.stringify(body)} is refused: ${message}`, () => {
      const { task, reply } = take(Buffer.from(body));
      assert.equal(task, undefined);
      assert.equal(reply.status, 400);
      assert.deepEqual(JSON.parse(reply.text), { error: message });
    });
  }
});

describe("a body that servers read in different ways", () => {
  const bodies: readonly (readonly [about: string, body: string, message: RegExp])[] = [
    ["in other case", '{"model":"tiny","prompt":"a","stream":false,"Stream":true}', /"Stream" comes twice/],
    ["with the long s", '{"model":"tiny","prompt":"a","stream":false,"\u017ftream":true}', /comes twice/],
    ["with an escape", '{"model":"tiny","mod\\u0065l":"other","prompt":"a"}', /"model" comes twice/],
    ["twice the same", '{"model":"tiny","model":"other","prompt":"a"}', /"model" comes twice/],
    ["two models", '{"model":"tiny","Model":"other","prompt":"a"}', /"Model" comes twice/],
    ["one in capitals", '{"model":"tiny","prompt":"a","Stream":false}', /"Stream" must be written "stream"/],
    ["an option", '{"model":"tiny","prompt":"a","options":{"seed":1,"SEED":2}}', /"SEED" comes twice/],
    ["a message", '{"model":"tiny","messages":[{"role":"user","Role":"system"}]}', /"Role" comes twice/],
    ["unknown ones", '{"model":"tiny","prompt":"a","new":1,"NEW":2}', /"NEW" comes twice/],
  ];
  for (const [about, body, message] of bodies) {
    it(`is refused: ${about}`, () => {
      const { task, reply } = take(Buffer.from(body));
      assert.equal(task, undefined);
      assert.equal(reply.status, 400);
      assert.match((JSON.parse(reply.text) as { error: string }).error, message);
    });
  }

  it("is none when the names are the client's own", () => {
    const format = { type: "object", properties: { id: {}, ID: {}, Model: {}, Stream: {} } };
    const body = JSON.stringify({ model: "tiny", prompt: "a", format, ownField: 1 });
    assert.ok(take(Buffer.from(body)).task !== undefined);
  });
});

describe("a compressed body", () => {
  const packed = { gzip: gzipSync(BODY), Zstandard: zstdCompressSync(BODY) };
  for (const [about, body] of Object.entries(packed)) {
    it(`of ${about} is refused with a sentence that says so`, () => {
      const { task, reply } = take(body);
      assert.equal(task, undefined);
      assert.equal(reply.status, 415);
      assert.match(reply.text, /is compressed/);
    });
  }
});

describe("the key of an admin", () => {
  const kept = Buffer.from('{"model":"tiny","prompt":"hi","keep_alive":0}');
  it("is told to the worker where it matters: with a keep_alive", () => {
    assert.equal(take(kept, "", "chief").task?.admin, true);
    assert.equal(take(kept, "", "other").task?.admin, undefined);
    assert.equal(take(Buffer.from(BODY), "", "chief").task?.admin, undefined);
  });
});

describe("the timeouts of a request", () => {
  const usual = { connectMs: 10, firstTokenMs: 20, idleMs: 0 };

  it("are those of the settings, and of its model", () => {
    const { task } = take(Buffer.from(BODY));
    assert.equal(task?.deadline, 6000);
    assert.deepEqual(task.limits, { ...usual, queueUntil: 1700 });
  });

  it("are shortened by its header, never lengthened", () => {
    const { task } = take(Buffer.from(BODY), "queue=900, first-token=5, idle=40, connect=11, total=600");
    assert.equal(task?.deadline, 1600);
    const limits = { connectMs: 10, firstTokenMs: 5, idleMs: 40, queueUntil: 0 };
    assert.deepEqual(task.limits, limits, "the queue needs no watch that ends after the whole");
  });

  it("are refused when they cannot be read", () => {
    const { task, reply } = take(Buffer.from(BODY), "first-token=soon");
    assert.equal(task, undefined);
    assert.equal(reply.status, 400);
    assert.match(reply.text, /x-sgnet-timeouts must be like/);
  });
});

describe("a body that would hold the event loop", () => {
  it("is given to the thread, whole", () => {
    const members = Array.from({ length: 2500 }, (_, index) => `"k${index}":1`).join();
    const body = Buffer.from(`{"model":"tiny","options":{${members}}}`);
    const given: Buffer[] = [];
    const { promise } = Promise.withResolvers<never>();
    const { task, reply } = take(body, "", "", (_endpoint, bytes) => {
      given.push(bytes);
      return promise;
    });
    assert.equal(task, undefined);
    assert.equal(reply.status, 0);
    assert.deepEqual(given, [body]);
  });
});
