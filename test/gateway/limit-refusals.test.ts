import assert from "node:assert/strict";
import http from "node:http";
import { describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { TASK_ROUTES } from "../../src/protocols/dialects.ts";
import { takesForm } from "../../src/protocols/openai/multipart-request.ts";
import { formBody } from "../rig/multipart.ts";
import { RawClient } from "./http-rig.ts";
import {
  cardOf,
  keyOf,
  refuses,
  ScriptedLimit,
  startLimited,
  type LimitedGateway,
} from "./limited-gateway.ts";

interface Answer {
  readonly status: number | undefined;
  /** As sent, without the date. */
  readonly headers: readonly string[];
  readonly told: http.IncomingHttpHeaders;
  readonly body: string;
}

/** @param line method and path */
function ask(
  { port }: LimitedGateway,
  line: string,
  {
    headers = {},
    body = "",
  }: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Buffer } = {},
): Promise<Answer> {
  const [method = "", path = ""] = line.split(" ");
  const sent = { authorization: "Bearer sg-ann", "x-request-id": "r1", ...headers };
  return new Promise((resolve, reject) => {
    const request = http.request({ port, method, path, headers: sent, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () =>
        resolve({
          status: response.statusCode,
          headers: response.rawHeaders.filter((_, index, all) => all[index - (index % 2)] !== "date"),
          told: response.headers,
          body: text,
        }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

const messages = [{ role: "user", content: "hello" }];

/** A body that every endpoint with JSON takes. */
function bodyFor(model: string): object {
  return {
    ...(model === "" ? {} : { model }),
    messages,
    prompt: "a",
    input: "a",
    max_tokens: 5,
    query: "a",
    documents: ["a"],
    text_1: "a",
    text_2: "a",
    content: "a",
    tokens: [1],
    voice: "a",
    input_prefix: "a",
    input_suffix: "b",
    stream: false,
  };
}

const ANN = keyOf("ann", { models: ["tiny"] });
const ABILITIES = ["rerank", "score", "tokenize", "detokenize", "moderations", "images", "speech", "infill"];

describe("a model that a key may not use is answered as one that does not exist", () => {
  for (const { path, endpoint } of TASK_ROUTES) {
    it(`POST ${path}`, async (t) => {
      const cards = [cardOf("tiny"), cardOf("secret", ABILITIES)];
      const gateway = await startLimited(t, { keys: [ANN], cards });
      const asked = async (model: string): Promise<Answer> => {
        const fields = [
          { name: "model", value: model },
          { name: "file", value: "x", filename: "a.wav" },
        ];
        const json = endpoint === "openai-responses" ? { model, input: "a" } : bodyFor(model);
        const body = takesForm(endpoint) ? formBody("b", fields) : JSON.stringify(json);
        const type = takesForm(endpoint) ? "multipart/form-data; boundary=b" : "application/json";
        return ask(gateway, `POST ${path}`, { body, headers: { "content-type": type } });
      };
      const [hidden, missing] = [await asked("secret"), await asked("nosuch")];
      assert.equal(missing.status, 404, missing.body);
      assert.deepEqual(hidden, { ...missing, body: missing.body.replace("nosuch", "secret") });
      assert.deepEqual(gateway.tasks, []);
    });
  }

  for (const [line, headers] of [
    ["GET /v1/models/NAME", {}],
    ["HEAD /v1/models/NAME", {}],
    ["GET /v1/models/NAME", { "anthropic-version": "2023-06-01" }],
    ["POST /api/show", {}],
  ] as const) {
    it(`${line} ${Object.keys(headers).join("")}`, async (t) => {
      const gateway = await startLimited(t, { keys: [ANN], cards: [cardOf("tiny"), cardOf("secret")] });
      const asked = (model: string): Promise<Answer> => {
        const body = line.startsWith("POST") ? JSON.stringify({ model }) : "";
        return ask(gateway, line.replace("NAME", model), { headers, body });
      };
      const [hidden, missing] = [await asked("secret"), await asked("nosuch")];
      assert.equal(missing.status, 404);
      assert.deepEqual(hidden, { ...missing, body: missing.body.replace("nosuch", "secret") });
      assert.equal((await asked("tiny")).status, 200);
    });
  }

  for (const ability of ["rerank", "moderations"]) {
    it(`for a request that names no model: POST /v1/${ability}`, async (t) => {
      const cards = [cardOf("tiny"), cardOf("secret", ABILITIES)];
      const gateway = await startLimited(t, { keys: [ANN], cards });
      const without = await startLimited(t, { keys: [ANN], cards: [cardOf("tiny")] });
      const body = JSON.stringify(bodyFor(""));
      const [one, other] = await Promise.all(
        [gateway, without].map((to) => ask(to, `POST /v1/${ability}`, { body })),
      );
      assert.equal(one?.status, 501);
      assert.deepEqual(one, other);
    });
  }

  for (const path of ["/api/tags", "/api/ps", "/v1/models"]) {
    it(`and is in no list: ${path}`, async (t) => {
      const cards = [cardOf("tiny"), cardOf("secret")];
      const gateway = await startLimited(t, { keys: [ANN, keyOf("bob")], cards });
      const listed = async (key: string): Promise<string> =>
        (await ask(gateway, `GET ${path}`, { headers: { authorization: `Bearer sg-${key}` } })).body;
      assert.match(await listed("ann"), /tiny/);
      assert.doesNotMatch(await listed("ann"), /secret/);
      assert.match(await listed("bob"), /secret/);
    });
  }
});

const RATE = new Fault("rate_limited", "too many requests", { retryAfter: 0.25, unit: "requests" });
const SHOWN = { limit: "requests", perMinute: 60, remaining: 0, resetMs: 10_000 } as const;

async function limited(
  t: Parameters<typeof startLimited>[0],
  ...faults: readonly Fault[]
): Promise<LimitedGateway & { readonly limit: ScriptedLimit }> {
  const limit = new ScriptedLimit();
  limit.shown = [SHOWN];
  limit.steps.push(...faults.map((fault) => refuses(fault)));
  return { ...(await startLimited(t, { limits: [limit] })), limit };
}

const CHAT = JSON.stringify({ model: "tiny", messages, max_tokens: 5, stream: true });

describe("a refusal by a limit", () => {
  it("is in the form of OpenAI's service, also for a stream", async (t) => {
    const answer = await ask(await limited(t, RATE), "POST /v1/chat/completions", { body: CHAT });
    assert.equal(answer.status, 429);
    const error = { message: RATE.message, type: "requests", param: null, code: "rate_limit_exceeded" };
    assert.deepEqual(JSON.parse(answer.body), { error });
    const { told } = answer;
    assert.deepEqual(
      [told["retry-after"], told["retry-after-ms"], told["x-should-retry"]],
      ["1", "250", undefined],
    );
    assert.equal(told["x-ratelimit-remaining-requests"], "0");
    assert.equal(told["x-ratelimit-reset-requests"], "10s");
  });

  it("is in the form of Anthropic's service, also for a stream", async (t) => {
    const answer = await ask(await limited(t, RATE), "POST /v1/messages", { body: CHAT });
    assert.equal(answer.status, 429);
    assert.deepEqual(JSON.parse(answer.body), {
      type: "error",
      error: { details: { error_code: "rate_limited" }, type: "rate_limit_error", message: RATE.message },
      request_id: "r1",
    });
    assert.equal(answer.told["anthropic-ratelimit-requests-remaining"], "0");
  });

  it("is in the form of Ollama, also for a stream", async (t) => {
    const answer = await ask(await limited(t, RATE), "POST /api/chat", { body: CHAT });
    assert.equal(answer.status, 429);
    assert.deepEqual(JSON.parse(answer.body), { error: RATE.message });
    assert.equal(answer.told["retry-after"], "1");
    assert.ok(!Object.keys(answer.told).some((name) => name.includes("ratelimit")));
  });

  it("of a budget is OpenAI's insufficient_quota, and says not to retry", async (t) => {
    const fault = new Fault("budget_exceeded", "used up", { retryAfter: 3600 });
    const { body, told } = await ask(await limited(t, fault), "POST /v1/responses", {
      body: JSON.stringify({ model: "tiny", input: "a" }),
    });
    const error = { message: "used up", type: "insufficient_quota", param: null, code: "insufficient_quota" };
    assert.deepEqual(JSON.parse(body), { error });
    assert.deepEqual([told["retry-after"], told["x-should-retry"]], ["3600", "false"]);
  });

  it("keeps its connection behind a large body", async (t) => {
    const gateway = await limited(t, RATE);
    const client = new RawClient(t, gateway.port);
    const body = JSON.stringify({
      model: "tiny",
      messages: [{ role: "user", content: "x".repeat(1_500_000) }],
    });
    const head = "Host: localhost\r\nAuthorization: Bearer sg-ann\r\n";
    client.send(`POST /v1/chat/completions HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    await client.receives(/HTTP\/1\.1 429 [^]*too many requests/);
    client.send(`GET /v1/models HTTP/1.1\r\n${head}\r\n`);
    await client.receives("HTTP/1.1 200 OK");
  });

  it("answers a client that waits for 100 Continue", async (t) => {
    const gateway = await limited(t, RATE);
    const answer = await new Promise<number | undefined>((resolve, reject) => {
      const headers = {
        authorization: "Bearer sg-ann",
        expect: "100-continue",
        "content-length": CHAT.length,
      };
      const request = http.request(
        { port: gateway.port, method: "POST", path: "/v1/messages", headers, agent: false },
        (response) => {
          response.resume().on("end", () => resolve(response.statusCode));
        },
      );
      request.on("continue", () => request.end(CHAT)).on("error", reject);
      request.flushHeaders();
    });
    assert.equal(answer, 429);
  });

  it("answers HTTP/1.0, and closes", async (t) => {
    const gateway = await limited(t, RATE);
    const client = new RawClient(t, gateway.port);
    const head = `Host: localhost\r\nAuthorization: Bearer sg-ann\r\nContent-Length: ${CHAT.length}`;
    client.send(`POST /api/chat HTTP/1.0\r\n${head}\r\n\r\n${CHAT}`);
    const text = await client.closes();
    assert.match(text, /^HTTP\/1\.\d 429 /);
    assert.match(text, /retry-after: 1\r\n/i);
    assert.ok(text.endsWith('{"error":"too many requests"}'));
  });

  it("is none for requests that only read", async (t) => {
    const gateway = await limited(t, RATE);
    for (const line of [
      "HEAD /v1/models",
      "GET /v1/models/tiny",
      "GET /api/tags",
      "HEAD /api/tags",
      "GET /api/ps",
    ]) {
      assert.equal((await ask(gateway, line)).status, 200, line);
    }
    assert.deepEqual(gateway.limit.requests, []);
  });

  it("may be read by web pages", async (t) => {
    const gateway = await limited(t, RATE);
    const headers = { origin: "http://localhost:5173" };
    const exposed = async (): Promise<string> =>
      String(
        (await ask(gateway, "POST /v1/chat/completions", { headers, body: CHAT })).told[
          "access-control-expose-headers"
        ],
      );
    const limits = ["limit", "remaining", "reset"]
      .map((figure) => `x-ratelimit-${figure}-requests`)
      .join(", ");
    const usual = "x-request-id, request-id, retry-after, x-sgnet-dropped";
    assert.equal(await exposed(), `${usual}, ${limits}, retry-after-ms`);
    assert.equal(await exposed(), `${usual}, ${limits}`);
  });
});

describe("a question about a model", () => {
  it("counts as a request without tokens", async (t) => {
    const gateway = await limited(t);
    assert.equal((await ask(gateway, "POST /api/show", { body: '{"model":"tiny"}' })).status, 200);
    assert.deepEqual(gateway.limit.seen, ["charged", "settled 0+0"]);
    const [{ inputTokens, outputTokens } = assert.fail()] = gateway.limit.requests;
    assert.deepEqual([inputTokens, outputTokens], [0, 0]);
  });

  it("is refused by a limit, in Ollama's form", async (t) => {
    const gateway = await limited(t, RATE);
    const answer = await ask(gateway, "POST /api/show", { body: '{"model":"tiny"}' });
    assert.deepEqual([answer.status, answer.body], [429, '{"error":"too many requests"}']);
    assert.equal(answer.told["retry-after-ms"], "250");
  });

  it("is refused by a limit of which Redis is asked", async (t) => {
    const gateway = await limited(t);
    gateway.limit.steps.push(() => Promise.reject(RATE));
    assert.equal((await ask(gateway, "POST /api/show", { body: '{"model":"tiny"}' })).status, 429);
    gateway.limit.steps.push(() => Promise.resolve().then(() => gateway.limit.take()));
    assert.equal((await ask(gateway, "POST /api/show", { body: '{"model":"tiny"}' })).status, 200);
    assert.deepEqual(gateway.limit.seen, ["charged", "settled 0+0"]);
  });

  const refused: readonly (readonly [line: string, body: string, status: number])[] = [
    ["POST /api/show", '{"model":"nosuch"}', 404],
    ["POST /api/show", "nothing", 400],
    ["POST /api/pull", '{"model":"tiny"}', 403],
    ["DELETE /api/delete", '{"model":"tiny"}', 403],
    ["HEAD /api/blobs/sha256:0", "", 403],
  ];
  for (const [line, body, status] of refused) {
    it(`costs nothing when it is refused: ${line} ${body}`, async (t) => {
      const gateway = await limited(t);
      assert.equal((await ask(gateway, line, { body })).status, status);
      assert.deepEqual(gateway.limit.seen, ["charged", "refunded"]);
    });
  }
});
