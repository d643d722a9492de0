import assert from "node:assert/strict";
import http from "node:http";
import { describe, it, type TestContext } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import { adminRoutes, type AdminHost } from "../../src/gateway/dead-letters/admin-routes.ts";
import { buildGuard } from "../../src/gateway/http/guard.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { LiveFeed, type LiveFeedOptions } from "../../src/gateway/monitor/live-feed.ts";
import { managementRoutes, type ManagementHost } from "../../src/gateway/models/management.ts";
import { OriginPolicy } from "../../src/gateway/http/origin-policy.ts";
import { buildFallback, buildRoutes } from "../../src/gateway/routes.ts";
import type { RoutesHost } from "../../src/gateway/routes.ts";
import { asksForPage, openUi } from "../../src/gateway/live-page.ts";
import { RawClient, serve } from "./http-rig.ts";

const IDS = ["tiny", "org/some model", "/models/a.gguf"];
const KEY = "secret";
const ADMIN = "admin";

/** The state of a gateway and its fleet. */
interface State {
  readonly models: readonly string[];
  readonly unready: Fault | undefined;
}

const WELL: State = { models: IDS, unready: undefined };

/** All that is served, behind a door, before a fleet of this state. */
async function front(t: TestContext, state: State = WELL, apiKeys = ""): Promise<number> {
  const models = state.models.map((name) => ({ key: name, name, ownedBy: "us", modifiedAt: 1000 }));
  const find = (name: string): string | undefined => state.models.find((id) => id === name);
  const catalogue = { models, cards: [], find, knowsAny: models.length > 0 };
  const unready = (): Fault | undefined => state.unready;
  const keyring = new Keyring({ apiKeys, adminKeys: ADMIN });
  const live = new LiveFeed({ inspection: {}, exchanges: () => [], unready } as unknown as LiveFeedOptions);
  t.after(() => live.stop());
  const auditor = { authorOf: () => ({ who: "", from: "" }), refused: () => {} };
  const admin = { keyring, auditor, unready } as unknown as AdminHost;
  const host = {
    catalogue,
    keyring,
    readiness: { unready: state.unready, outOfService: state.unready },
    version: "1.2.3",
    build: "abc",
    management: [
      ...managementRoutes({ catalogue, keyring, auditor, unready } as unknown as ManagementHost),
      ...adminRoutes(admin),
    ],
    ui: openUi((request, reply) => live.watch(request, reply)),
    metrics: { gateway: () => Promise.resolve("one 1\n"), fleet: () => Promise.resolve("two 2\n") },
    metricsType: "text/plain",
  };
  const routes = buildRoutes(host as unknown as RoutesHost);
  const origins = new OriginPolicy({ origins: "", listen: "127.0.0.1", own: [] });
  const guard = buildGuard({ origins, keyring, isPublic: asksForPage, onRefused: () => {} });
  return (await serve(t, { routes, ...buildFallback(routes), guard })).port;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

function ask(port: number, line: string, agent: http.Agent | false = false): Promise<Answer> {
  const [method = "", path = ""] = line.split(" ");
  const headers = { "x-request-id": "mine", authorization: `Bearer ${ADMIN}` };
  return new Promise((resolve, reject) => {
    const request = http.request({ port, method, path, headers, agent }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => (body += part));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    request.on("error", reject).end();
  });
}

/** Every path that answers GET with a length. */
const PATHS = [
  "/",
  "/health",
  "/v1/health",
  "/healthz",
  "/readyz",
  "/ping",
  "/version",
  "/metrics",
  "/metrics/fleet",
  "/api/version",
  "/api/tags",
  "/api/ps",
  "/api/status",
  "/v1/models",
  "/v1/models/tiny",
  "/v1/models/org/some%20model",
  "/v1/models/org%2Fsome%20model",
  "/v1/models/%2Fmodels%2Fa.gguf",
  "/v1/models//models/a.gguf",
  "/v1/models/none",
  "/ui",
  "/ui/page.css",
  "/ui/page.js",
  "/nowhere",
];

describe("a path that answers GET", () => {
  for (const path of PATHS) {
    it(`${path} answers HEAD with the same head, and the connection goes on`, async (t) => {
      const port = await front(t);
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      t.after(() => agent.destroy());
      const head = await ask(port, `HEAD ${path}`, agent);
      const get = await ask(port, `GET ${path}`, agent);
      const again = await ask(port, `HEAD ${path}`, agent);
      const last = await ask(port, "GET /healthz", agent);
      assert.deepEqual([head.body, again.body], ["", ""]);
      for (const one of [head, again]) {
        assert.equal(one.status, get.status);
        assert.deepEqual({ ...one.headers, date: "" }, { ...get.headers, date: "" });
      }
      assert.equal(get.headers["content-length"], String(Buffer.byteLength(get.body)));
      assert.equal(JSON.parse(last.body).status, "ok");
    });

    it(`${path} answers as with a slash too many`, async (t) => {
      const port = await front(t);
      const [plain, slashed] = [await ask(port, `GET ${path}`), await ask(port, `GET ${path}/`)];
      assert.equal(slashed.status, plain.status);
      if (plain.status === 200) assert.equal(slashed.body, plain.body);
    });
  }

  it("answers HEAD of events with their head only, and no page is counted", async (t) => {
    const port = await front(t);
    for (let n = 0; n < 40; n += 1) {
      const { status, headers, body } = await ask(port, "HEAD /ui/events");
      assert.deepEqual([status, headers["content-type"], body], [200, "text/event-stream", ""]);
    }
  });

  it("sends no byte of a body after a HEAD", async (t) => {
    const client = new RawClient(t, await front(t));
    const paths = ["/health", "/v1/models/org/some%20model", "/ui/page.js", "/nowhere", "/api/ps/"];
    for (const path of paths) client.send(`HEAD ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    client.send("GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    const answers = (await client.receives(/(?:HTTP\/1\.1 [^]*){6}\r\n\r\n$/)).split("\r\n\r\n");
    assert.deepEqual(
      answers.map((answer) => answer.slice(0, 12)),
      ["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 200", "HTTP/1.1 200", ""],
    );
  });

  for (const path of ["/health", "/v1/health", "/ping", "/version", "/api/ps", "/ui", "/v1/models/a/b"]) {
    it(`${path} answers other methods with 405 and those that would do`, async (t) => {
      const port = await front(t);
      for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
        const { status, headers } = await ask(port, `${method} ${path}`);
        assert.deepEqual([status, headers.allow], [405, "GET, HEAD"], method);
      }
    });
  }
});

describe("whether a gateway can serve", () => {
  const states: readonly (readonly [what: string, state: State, told: RegExp])[] = [
    ["no model is known", { ...WELL, models: [] }, /^Loading model/],
    ["Redis is away", { ...WELL, unready: new Fault("redis_down", "Redis is away") }, /Redis is away/],
    ["it stops", { ...WELL, unready: new Fault("draining", "it is about to stop") }, /about to stop/],
  ];

  it("is told as llama.cpp and vLLM tell it", async (t) => {
    const port = await front(t);
    for (const path of ["/health", "/v1/health"]) {
      const { status, headers, body } = await ask(port, `GET ${path}`);
      assert.deepEqual([status, body], [200, '{"status":"ok"}']);
      assert.equal(headers["content-type"], "application/json");
    }
    const ping = await ask(port, "GET /ping");
    assert.deepEqual([ping.status, ping.body, ping.headers["content-length"]], [200, "", "0"]);
    const version = await ask(port, "GET /version");
    assert.deepEqual(JSON.parse(version.body), { version: "1.2.3" });
  });

  for (const [what, state, told] of states) {
    it(`is denied when ${what}`, async (t) => {
      const port = await front(t, state);
      for (const path of ["/health", "/v1/health", "/ping"]) {
        const { status, headers, body } = await ask(port, `GET ${path}`);
        const { error } = JSON.parse(body);
        assert.deepEqual([status, error.code, error.type], [503, 503, "unavailable_error"]);
        assert.match(error.message, told);
        assert.equal(headers["retry-after"], "1");
      }
      assert.equal((await ask(port, "GET /healthz")).status, 200);
      assert.equal((await ask(port, "GET /readyz")).status, state.unready === undefined ? 200 : 503);
    });
  }
});

async function anonymous(port: number, path: string, method = "GET"): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${path}`, { method })).status;
}

describe("without a key", () => {
  const open = [
    "/health",
    "/v1/health",
    "/healthz",
    "/readyz",
    "/ping",
    "/version",
    "/metrics",
    "/ui/page.js",
  ];
  for (const path of open) {
    it(`${path} is served, with a slash too many as well`, async (t) => {
      const port = await front(t, WELL, KEY);
      for (const method of ["GET", "HEAD"]) {
        assert.equal(await anonymous(port, path, method), 200);
        assert.equal(await anonymous(port, `${path}/`, method), 200);
      }
    });
  }

  it("nothing else is, whatever the slashes", async (t) => {
    const port = await front(t, WELL, KEY);
    for (const path of ["/", "//", "/v1/models", "/health//", "/v1/health/x", "/ui/events/", "/healthz/x"]) {
      assert.equal(await anonymous(port, path), 401, path);
    }
  });
});
