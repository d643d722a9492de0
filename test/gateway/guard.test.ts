import assert from "node:assert/strict";
import http from "node:http";
import { describe, it, type TestContext } from "node:test";
import type { Settings } from "../../src/config/settings.ts";
import { buildGuard } from "../../src/gateway/http/guard.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { OriginPolicy } from "../../src/gateway/http/origin-policy.ts";
import type { Route } from "../../src/gateway/http/http.ts";
import { echo, RawClient, serve } from "./http-rig.ts";

const STREAM: Route = {
  method: "POST",
  path: "/stream",
  handler: (_request, reply) => {
    reply.start(200, [["content-type", "text/event-stream"]], Buffer.from("data: 1\n\n"));
    reply.end();
  },
};

interface Rig {
  readonly port: number;
  readonly refused: readonly string[];
}

async function rig(
  t: TestContext,
  settings: Partial<Pick<Settings, "origins" | "apiKeys" | "adminKeys">>,
): Promise<Rig> {
  const refused: string[] = [];
  const guard = buildGuard({
    origins: new OriginPolicy({ origins: settings.origins ?? "", listen: "127.0.0.1", own: [] }),
    keyring: new Keyring({ apiKeys: "", adminKeys: "", ...settings }),
    isPublic: () => false,
    onRefused: (code) => refused.push(code),
  });
  const routes: Route[] = [
    { method: "GET", path: "/api/version", handler: echo },
    { method: "POST", path: "/api/chat", handler: echo },
    { method: "GET", path: "/metrics", handler: echo },
    { method: "GET", path: "/metrics/fleet", handler: echo },
    { method: "GET", path: "/healthz", handler: echo },
    STREAM,
  ];
  const server = await serve(t, { routes, guard, maxBodyBytes: 1000 });
  return { port: server.port, refused };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

function ask(
  { port }: Rig,
  line: string,
  headers: Record<string, string> = {},
  body: string | Buffer = "",
): Promise<Answer> {
  const [method = "", path = ""] = line.split(" ");
  return new Promise((resolve, reject) => {
    const request = http.request({ port, method, path, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () =>
        resolve({ status: response.statusCode, headers: response.headers, body: text }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

const LOCAL = { origin: "http://localhost:3000" };
const EVIL = { origin: "https://evil.example" };

describe("pages of other origins", () => {
  it("from an allowed origin get its headers with every reply, also errors and streams", async (t) => {
    const door = await rig(t, {});
    const lines = [
      ["GET /api/version", 200],
      ["GET /no/such/path", 404],
      ["POST /stream", 200],
    ] as const;
    for (const [line, status] of lines) {
      const answer = await ask(door, line, LOCAL);
      assert.equal(answer.status, status, line);
      assert.equal(answer.headers["access-control-allow-origin"], LOCAL.origin, line);
      assert.equal(answer.headers.vary, "Origin", line);
      const exposed = "x-request-id, request-id, retry-after, x-sgnet-dropped";
      assert.equal(answer.headers["access-control-expose-headers"], exposed, line);
      assert.equal(answer.headers["access-control-allow-credentials"], undefined, line);
    }
    const tooLarge = await ask(door, "POST /api/chat", LOCAL, "x".repeat(2000));
    assert.equal(tooLarge.status, 413);
    assert.equal(tooLarge.headers["access-control-allow-origin"], LOCAL.origin);
  });

  it("get an empty 403 with any method when theirs is not allowed", async (t) => {
    const door = await rig(t, {});
    for (const line of ["GET /api/version", "POST /api/chat", "OPTIONS /api/chat", "GET /healthz"]) {
      const answer = await ask(door, line, EVIL, "{}");
      assert.deepEqual([answer.status, answer.body], [403, ""], line);
      assert.ok(answer.headers["x-request-id"], line);
      assert.equal(answer.headers["access-control-allow-origin"], undefined, line);
    }
    assert.deepEqual(door.refused, Array(4).fill("origin_forbidden"));
  });

  it("need no leave of this server's own pages, nor of clients that are no browsers", async (t) => {
    const door = await rig(t, {});
    const own = await ask(door, "GET /api/version", { origin: "http://box.local", host: "box.local" });
    assert.equal(own.status, 200);
    assert.equal(own.headers["access-control-allow-origin"], undefined);
    const none = await ask(door, "GET /api/version");
    assert.equal(none.headers.vary, undefined);
  });

  it("are told by a preflight what they may send, without a key", async (t) => {
    const door = await rig(t, { apiKeys: "k1" });
    const answer = await ask(door, "OPTIONS /api/chat", {
      ...LOCAL,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,authorization",
    });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers["access-control-allow-origin"], LOCAL.origin);
    assert.equal(answer.headers["access-control-allow-methods"], "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS");
    assert.equal(answer.headers["access-control-max-age"], "43200");
    const allowed = (answer.headers["access-control-allow-headers"] ?? "").toLowerCase().split(",");
    for (const name of ["authorization", "content-type", "x-api-key", "anthropic-version", "anthropic-beta"])
      assert.ok(allowed.includes(name), name);
    for (const name of [
      "anthropic-dangerous-direct-browser-access",
      "x-stainless-read-timeout",
      "x-request-id",
    ])
      assert.ok(allowed.includes(name), name);
  });
});

describe("the Host header", () => {
  it("with the name of another machine gets an empty 403", async (t) => {
    const door = await rig(t, {});
    const answer = await ask(door, "GET /api/version", { host: "evil.example" });
    assert.deepEqual([answer.status, answer.body], [403, ""]);
    assert.deepEqual(door.refused, ["host_forbidden"]);
  });
});

describe("API keys", () => {
  const KEYS = { apiKeys: "k1, k2", adminKeys: "root" };

  it("are not asked for when there are none", async (t) => {
    const door = await rig(t, { adminKeys: "root" });
    assert.equal((await ask(door, "GET /api/version", { authorization: "Bearer whatever" })).status, 200);
  });

  it("come as a bearer or as x-api-key; an admin's will do", async (t) => {
    const door = await rig(t, KEYS);
    for (const headers of [
      { authorization: "Bearer k1" },
      { authorization: "bearer  k2" },
      { "x-api-key": "k2" },
      { authorization: "Bearer wrong", "x-api-key": "k1" },
      { authorization: "Bearer root" },
    ]) {
      assert.equal((await ask(door, "GET /api/version", headers)).status, 200, JSON.stringify(headers));
    }
  });

  it("that are missing or wrong get 401 in the dialect of the path, without being repeated", async (t) => {
    const door = await rig(t, KEYS);
    const wrong: Record<string, string>[] = [
      {},
      { authorization: "Bearer hunter2" },
      { authorization: "k1" },
      { "x-api-key": "k1,k2" },
    ];
    for (const headers of wrong) {
      const native = await ask(door, "POST /api/chat", headers, "{}");
      assert.equal(native.status, 401);
      assert.equal(native.headers["www-authenticate"], "Bearer");
      assert.deepEqual(JSON.parse(native.body), { error: "missing or wrong API key" });
      const openai = await ask(door, "POST /v1/chat/completions", headers, "{}");
      assert.equal(openai.status, 401);
      const { error } = JSON.parse(openai.body) as { error: { code: string } };
      assert.equal(error.code, "invalid_api_key");
      const anthropic = await ask(door, "POST /v1/messages", headers, "{}");
      assert.equal(anthropic.status, 401);
      const told = JSON.parse(anthropic.body) as { type: string; error: { type: string } };
      assert.deepEqual([told.type, told.error.type], ["error", "authentication_error"]);
    }
    assert.deepEqual(new Set(door.refused), new Set(["unauthorized"]));
  });

  it("are not needed by probes and scrapers", async (t) => {
    const door = await rig(t, KEYS);
    for (const path of ["/healthz", "/metrics", "/metrics/fleet"])
      assert.equal((await ask(door, `GET ${path}`)).status, 200);
  });

  it("are judged before a body is read", async (t) => {
    const door = await rig(t, KEYS);
    const client = new RawClient(t, door.port);
    client.send("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n");
    await client.receives("401 Unauthorized");
    client.send("x".repeat(500) + "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await client.receives("200 OK");
    const endless = new RawClient(t, door.port);
    endless.send("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert.match(await endless.closes(), /401 Unauthorized[^]*connection: close/i);
  });
});

function bearing(authorization: string): { authorization: string; apiKey: string } {
  return { authorization, apiKey: "" };
}

describe("a keyring", () => {
  it("knows admins only by admin keys", () => {
    const ring = new Keyring({ apiKeys: "k1", adminKeys: "root,boss" });
    assert.ok(ring.isAdmin(bearing("Bearer boss")));
    assert.ok(!ring.isAdmin(bearing("Bearer k1")));
    assert.ok(!new Keyring({ apiKeys: "", adminKeys: "" }).isAdmin(bearing("Bearer ")));
  });
});
