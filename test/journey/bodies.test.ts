import assert from "node:assert/strict";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { isObject } from "../../src/core/json.ts";
import type { Recorded } from "../rig/backends/stand-in.ts";
import { type FleetPlan, journey } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";

const LIMIT = 8_000_000;
const PLAN: FleetPlan = { env: { SGNET_MAX_BODY_BYTES: String(LIMIT) } };

interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function send(gateway: Program, path: string, body: Buffer | string, method = "POST"): Promise<Told> {
  const url = gateway.url + path;
  const init = method === "POST" ? { method, body } : { method };
  const response = await fetch(url, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The message of an error body, which must have the form of the path's dialect. */
function messageIn(path: string, text: string): string {
  const body: unknown = JSON.parse(text);
  assert.ok(isObject(body), text);
  const { error } = body;
  if (!path.startsWith("/v1/")) {
    assert.ok(typeof error === "string", text);
    return error;
  }
  assert.ok(
    isObject(error) && typeof error["message"] === "string" && typeof error["type"] === "string",
    text,
  );
  return error["message"];
}

const CHATS = ["/api/chat", "/v1/chat/completions"] as const;

journey("an image of five megabytes reaches the backend as it was, in both dialects", PLAN, async (fleet) => {
  const image = Buffer.from(Uint8Array.from({ length: 5_000_000 }, (_, index) => (index * 31) % 251));
  const base64 = image.toString("base64");
  const ollama = new Ollama({ host: fleet.gateway.url });
  const content = "What is this?";
  await ollama.chat({ model: "tiny", messages: [{ role: "user", content, images: [base64] }] });
  const openai = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "none", maxRetries: 0 });
  const url = `data:image/png;base64,${base64}`;
  await openai.chat.completions.create({
    model: "tiny",
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: content },
          { type: "image_url", image_url: { url } },
        ],
      },
    ],
  });
  const { requests } = fleet.post().standIn;
  assert.equal(requests.length, 2);
  for (const request of requests) assert.ok(imageOf(request) === base64, "the image has changed");
});

function imageOf({ body }: Recorded): unknown {
  const { messages } = body as { messages?: { images?: string[] }[] };
  return messages?.[0]?.images?.[0];
}

journey("a body above the limit is refused with 413, in both dialects", PLAN, async (fleet) => {
  for (const path of CHATS) {
    const { status, text } = await send(fleet.gateway, path, Buffer.alloc(LIMIT + 1, "x"));
    assert.equal(status, 413);
    assert.match(messageIn(path, text), /larger than 8000000 bytes/);
  }
  assert.equal(fleet.post().standIn.requests.length, 0);
});

const hello = '"messages":[{"role":"user","content":"hello"}]';
const deep = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

interface Odd {
  readonly about: string;
  readonly body: Buffer | string;
  /** Both dialects'. */
  readonly status: number;
}

const REFUSED: readonly Odd[] = [
  { about: "no body", body: "", status: 400 },
  { about: "no JSON", body: '{"model":"tiny",', status: 400 },
  { about: "no object", body: '["tiny"]', status: 400 },
  { about: "no model", body: `{${hello}}`, status: 400 },
  { about: "a model nobody has", body: `{"model":"vast",${hello}}`, status: 404 },
  { about: "a model called __proto__", body: `{"model":"__proto__",${hello}}`, status: 404 },
  { about: "messages of no use", body: '{"model":"tiny","messages":{"__proto__":[]}}', status: 400 },
];

const ANSWERED: readonly Odd[] = [
  {
    about: "__proto__ keys everywhere",
    body: `{"__proto__":{"stream":true},"model":"tiny","stream":false,"options":{"__proto__":{"num_predict":9}},
      "messages":[{"role":"user","content":"hello","__proto__":{"content":"bye"}}],"constructor":{"prototype":{"a":1}}}`,
    status: 200,
  },
  { about: "deep nesting", body: `{"model":"tiny","stream":false,"x":${deep(1000)},${hello}}`, status: 200 },
  {
    about: "text that is no UTF-8",
    body: Buffer.concat([
      Buffer.from('{"model":"tiny","stream":false,"messages":[{"role":"user","content":"'),
      Buffer.from([0x68, 0xff, 0xfe, 0xc3, 0x28]),
      Buffer.from('"}]}'),
    ]),
    status: 200,
  },
];

for (const speaks of ["ollama", "openai"] as const) {
  journey(`odd bodies before a backend that speaks ${speaks}`, { posts: [{ speaks }] }, async (fleet, t) => {
    const { standIn } = fleet.post();
    for (const { about, body, status } of [...REFUSED, ...ANSWERED]) {
      await t.test(about, async () => {
        for (const path of CHATS) {
          const told = await send(fleet.gateway, path, body);
          assert.equal(told.status, status, `${path}: ${told.text}`);
          if (status === 200) assert.match(told.text, /t0 t1 t2 t3 "/);
          else messageIn(path, told.text);
        }
      });
    }
    assert.equal(standIn.requests.length, 2 * ANSWERED.length);
    await t.test("nesting beyond every stack is refused", async () => {
      for (const path of CHATS) {
        const format = path === "/api/chat" ? "format" : "response_format";
        const odd = await send(
          fleet.gateway,
          path,
          `{"model":"tiny","stream":false,"${format}":${deep(200_000)},${hello}}`,
        );
        assert.equal(odd.status, 400, odd.text);
        assert.match(messageIn(path, odd.text), /more than 1024 levels of nesting/);
        const next = await send(fleet.gateway, path, `{"model":"tiny","stream":false,${hello}}`);
        assert.equal(next.status, 200, next.text);
      }
    });
  });
}

journey("paths and methods that do not exist", {}, async (fleet) => {
  for (const path of CHATS) {
    const { status, headers } = await send(fleet.gateway, path, "", "GET");
    assert.equal(status, 405);
    assert.equal(headers.get("allow"), "POST");
  }
  const ollama = await send(fleet.gateway, "/api/nothing", "{}");
  assert.deepEqual([ollama.status, ollama.text], [404, "404 page not found"]);
  const openai = await send(fleet.gateway, "/v1/nothing", "{}");
  assert.equal(openai.status, 404);
  const message = messageIn("/v1/nothing", openai.text);
  assert.match(message, /^Unknown request URL: POST \/v1\/nothing\. /);
  assert.deepEqual(JSON.parse(openai.text), {
    error: { message, type: "invalid_request_error", param: null, code: "unknown_url" },
  });
  const anthropic = await send(fleet.gateway, "/v1/messages/nothing", "{}");
  assert.match(anthropic.text, /"type":"not_found_error","message":"Unknown request URL: /);
});
