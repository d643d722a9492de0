import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Task } from "../../src/core/task.ts";
import type { HttpRequest } from "../../src/gateway/http.ts";
import { takeRequest } from "../../src/gateway/intake.ts";
import type { IntakeHost } from "../../src/gateway/intake.ts";
import { FakeReply } from "./fake-reply.ts";

const HEADERS = {
  host: "",
  origin: "",
  requestId: "",
  authorization: "",
  apiKey: "",
  traceparent: "",
  accept: "",
  userAgent: "",
  contentType: "",
  timeouts: "",
};

interface Taken {
  readonly task: Task | undefined;
  readonly reply: FakeReply;
}

function take(body: Buffer): Taken {
  const accepted: Task[] = [];
  const host: IntakeHost = {
    now: () => 1000,
    newTaskId: () => "g.1",
    timeoutsOf: () => ({ queue: 0, connect: 10, firstToken: 20, idle: 30, total: 5000 }),
    unready: () => undefined,
    findModel: (name) => (name === "tiny" ? "tiny" : undefined),
    admit: () => {},
    accept: (task) => accepted.push(task),
    rejected: () => {},
  };
  const request: HttpRequest = {
    method: "POST",
    path: "/api/generate",
    query: "",
    headers: HEADERS,
    body,
    remote: "",
  };
  const reply = new FakeReply();
  takeRequest(host, "ollama-generate", request, reply);
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
