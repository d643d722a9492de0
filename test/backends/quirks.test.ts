import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, it, type TestContext } from "node:test";
import type { ReplySink } from "../../src/backends/backend.ts";
import { HttpBackend } from "../../src/backends/http-backend.ts";
import type { HttpKind } from "../../src/backends/profiles.ts";
import { readWorkerAnnouncement } from "../../src/core/announcement.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { escapedLine } from "../../src/core/escaped-text.ts";
import { announcementOf } from "../../src/worker/backend-announcement.ts";
import { learnedQuirks } from "../../src/commands/doctor-fleet.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { aTask } from "../rig/task.ts";
import { bodyOf, LocalServer, respondJson } from "../rig/local-server.ts";

type Body = Readonly<Record<string, unknown>>;
type Answer = (body: Body, response: ServerResponse) => void;

interface Strict {
  readonly backend: HttpBackend;
  /** The bodies that came. */
  readonly bodies: Body[];
}

/** A server that answers as it is told. */
async function strictServer(t: TestContext, kind: HttpKind, answer: Answer): Promise<Strict> {
  const bodies: Body[] = [];
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = JSON.parse((await bodyOf(request)).toString() || "{}") as Body;
    bodies.push(body);
    answer(body, response);
  };
  const server = await LocalServer.forTest(t, (request, response) => void serve(request, response));
  const target = { origin: server.url, prefix: "", authorization: undefined };
  const backend = new HttpBackend({ kind, target, slots: 1 });
  t.after(() => backend.close());
  return { backend, bodies };
}

function refuse(response: ServerResponse, status: number, message: string): void {
  respondJson(response, status, { error: { message } });
}

function reply(body: Body, response: ServerResponse, delta: object = { content: "yes" }): void {
  const choice = { index: 0, finish_reason: null };
  if (body["stream"] !== true) {
    const whole = { ...choice, message: { role: "assistant", ...delta }, finish_reason: "stop" };
    respondJson(response, 200, { choices: [whole] });
    return;
  }
  const events = [
    { choices: [{ ...choice, delta }] },
    { choices: [{ ...choice, delta: {}, finish_reason: "stop" }] },
  ];
  response.writeHead(200, { "content-type": "text/event-stream" });
  const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
  response.end(`${text}data: [DONE]\n\n`);
}

interface Told {
  readonly text: string;
  readonly dropped: readonly string[];
}

async function ask(backend: HttpBackend, endpoint: Endpoint, body: Body): Promise<Told> {
  const task: Task = aTask({
    endpoint,
    model: "m",
    stream: body["stream"] === true,
    createdAt: 0,
    body: Buffer.from(JSON.stringify({ model: "m", ...body })),
  });
  let text = "";
  let names: readonly string[] = [];
  const sink: ReplySink = {
    head: (_status, _type, dropped = []) => {
      names = dropped;
    },
    write: (bytes) => {
      text += bytes.toString();
    },
    progress: NO_PROGRESS,
  };
  await backend.run(task, "m", sink, new AbortController().signal);
  return { text, dropped: names };
}

const messages = [{ role: "user", content: "hi" }];
const stream = { stream: true, messages };

const strict: Answer = (body, response) => {
  if (body["stream_options"] === undefined) reply(body, response);
  else refuse(response, 422, "Extra inputs are not permitted: stream_options");
};

describe("stream_options (C7)", () => {
  it("that are refused are left out from then on, relayed and translated", async (t) => {
    const { backend, bodies } = await strictServer(t, "openai", strict);
    assert.match((await ask(backend, "openai-chat", stream)).text, /yes/);
    assert.equal(bodies.length, 2);
    assert.deepEqual(backend.quirks, ["refuses stream_options"]);
    assert.match((await ask(backend, "ollama-chat", stream)).text, /yes/);
    const anthropic = { ...stream, max_tokens: 9 };
    assert.match((await ask(backend, "anthropic-messages", anthropic)).text, /yes/);
    assert.equal(bodies.length, 4);
  });

  it("that are refused to a translated request first are, too; a client's own wish is named", async (t) => {
    const { backend, bodies } = await strictServer(t, "vllm", strict);
    assert.match((await ask(backend, "ollama-chat", stream)).text, /yes/);
    const own = { ...stream, stream_options: { include_usage: true } };
    const told = await ask(backend, "openai-chat", own);
    assert.match(told.text, /yes/);
    assert.deepEqual(told.dropped, ["stream_options"]);
    assert.equal(bodies.length, 3);
  });

  it("are not suspected by a server that took them, nor for a request that fails without them", async (t) => {
    const mood = { good: false };
    const { backend, bodies } = await strictServer(t, "openai", (body, response) => {
      if (mood.good) reply(body, response);
      else refuse(response, 400, "too long");
    });
    await assert.rejects(ask(backend, "openai-chat", stream), { message: "too long", http: 400 });
    assert.equal(bodies.length, 2);
    assert.deepEqual(backend.quirks, []);
    mood.good = true;
    await ask(backend, "openai-chat", stream);
    mood.good = false;
    await assert.rejects(ask(backend, "openai-chat", stream), { message: "too long", http: 400 });
    assert.equal(bodies.length, 4);
  });
});

const developer = (content: string): object => ({ type: "message", role: "developer", content });

describe("messages of the system (C9)", () => {
  const late = [
    { role: "user", content: "hi" },
    {
      role: "system",
      content: [
        { type: "text", text: "be" },
        { type: "text", text: "kind" },
      ],
    },
    { role: "developer", content: "brief" },
  ];
  const one = { role: "system", content: "be\n\nkind\n\nbrief" };

  it("are one and the first, where they are translated", async (t) => {
    const { backend, bodies } = await strictServer(t, "vllm", reply);
    const system = [
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ];
    const turns = [messages[0], { role: "system", content: "c" }];
    await ask(backend, "anthropic-messages", { max_tokens: 9, system, messages: turns });
    assert.deepEqual(bodies[0]?.["messages"], [{ role: "system", content: "a\n\nb\n\nc" }, messages[0]]);
    const input = [developer("a"), developer("b"), { type: "message", role: "user", content: "hi" }];
    await ask(backend, "openai-responses", { instructions: "x", input });
    assert.deepEqual(bodies[1]?.["messages"], [{ role: "system", content: "x\n\na\n\nb" }, messages[0]]);
  });

  it("that a strict template refuses are put so for a relayed request, and then at once", async (t) => {
    const { backend, bodies } = await strictServer(t, "openai", (body, response) => {
      const roles = (body["messages"] as { role: string }[]).map(({ role }) => role);
      const isOdd = roles.includes("developer") || roles.lastIndexOf("system") > 0;
      if (isOdd) refuse(response, 500, "System message must be at the beginning.");
      else reply(body, response);
    });
    const body = { messages: late, seed: 1 };
    for (const _ of [1, 2]) assert.match((await ask(backend, "openai-chat", body)).text, /yes/);
    assert.equal(bodies.length, 3);
    assert.deepEqual(bodies[2], { model: "m", messages: [one, late[0]], seed: 1 });
    assert.deepEqual(backend.quirks, ["takes one system message only, as the first"]);
  });
});

describe("thoughts of earlier turns (C10)", () => {
  const thought = { role: "assistant", content: "a", thinking: "hm" };
  const names = async (t: TestContext, kind: HttpKind, delta: object): Promise<(string | undefined)[]> => {
    const { backend, bodies } = await strictServer(t, kind, (body, response) => reply(body, response, delta));
    for (const _ of [1, 2])
      await ask(backend, "ollama-chat", { ...stream, messages: [thought, ...messages] });
    return bodies.map(({ messages: sent }) => {
      const [first = {}] = sent as Body[];
      return ["reasoning", "reasoning_content"].find((name) => first[name] === "hm");
    });
  };

  it("have the name that the kind reads, until the server shows another one", async (t) => {
    const [r, c] = ["reasoning", "reasoning_content"] as const;
    assert.deepEqual(await names(t, "vllm", { content: "a" }), [r, r]);
    assert.deepEqual(await names(t, "llamacpp", { content: "a" }), [c, c]);
    assert.deepEqual(await names(t, "openai", { content: "a", reasoning: "x" }), [c, r]);
    assert.deepEqual(await names(t, "vllm", { content: "a", reasoning_content: "x" }), [r, c]);
    assert.deepEqual(await names(t, "openai", { content: "a", reasoning: "x", reasoning_content: "x" }), [
      c,
      c,
    ]);
  });
});

describe("a backend that refuses its worker (C18)", () => {
  it("is told as 502 with its words, in every dialect", async (t) => {
    for (const status of [401, 402, 403, 407]) {
      const { backend } = await strictServer(t, "openai", (_body, response) =>
        refuse(response, status, "no key"),
      );
      const ollama = await strictServer(t, "ollama", (_body, response) => {
        response.writeHead(status).end('{"error":"no key"}');
      });
      const fault = { http: 502, code: "backend_error", message: /no key/ };
      await assert.rejects(ask(backend, "openai-chat", { messages }), fault);
      await assert.rejects(ask(backend, "anthropic-messages", { messages, max_tokens: 1 }), fault);
      await assert.rejects(ask(ollama.backend, "ollama-chat", { messages }), fault);
      const heads: number[] = [];
      await ollama.backend.manage({
        method: "POST",
        path: "/api/push",
        body: Buffer.from("{}"),
        sink: { head: (one) => heads.push(one), write: () => {}, progress: NO_PROGRESS },
        signal: new AbortController().signal,
      });
      assert.deepEqual(heads, [502]);
    }
  });

  it("is so in the middle of a stream, too", async (t) => {
    const { backend } = await strictServer(t, "openai", (_body, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end('data: {"error":{"message":"no key","code":401}}\n\n');
    });
    await assert.rejects(ask(backend, "openai-chat", stream), { http: 502, message: /no key/ });
  });
});

describe("what was learned", () => {
  it("is announced, bounded, and shown by the doctor", async (t) => {
    const { backend } = await strictServer(t, "openai", (body, response) => {
      if (body["stream_options"] === undefined) reply(body, response);
      else refuse(response, 400, "no");
    });
    await ask(backend, "openai-chat", stream);
    const told = { id: "w1", backends: [announcementOf(new BackendSlots(backend, 1))] };
    const worker = readWorkerAnnouncement(JSON.parse(JSON.stringify(told)));
    assert.ok(worker !== undefined);
    const [finding] = learnedQuirks([worker]);
    assert.match(finding?.text ?? "", /^openai@127\.0\.0\.1:\d+ of worker w1: .* refuses stream_options$/);
    const quirks = ["a".repeat(500), 7, ...Array.from({ length: 50 }, () => "\u001b[31m")];
    const hostile = readWorkerAnnouncement({ id: "w2", backends: [{ name: "x", quirks }] });
    const kept = hostile?.backends[0]?.quirks ?? [];
    assert.deepEqual([kept.length, kept[0]?.length], [8, 100]);
    const shown = escapedLine(learnedQuirks(hostile === undefined ? [] : [hostile])[0]?.text ?? "");
    assert.ok(!shown.includes("\u001b"));
  });
});
