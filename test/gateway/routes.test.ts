import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { Handler, Route } from "../../src/gateway/http/http.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { buildFallback, buildRoutes } from "../../src/gateway/routes.ts";
import type { RoutesHost } from "../../src/gateway/routes.ts";
import { serve } from "./http-rig.ts";

const found: Handler = (request, reply) => reply.send(200, [], `${request.method} ${request.body.length}`);

const ROUTES: readonly Route[] = [
  { method: "GET", path: "/", handler: found },
  { method: "POST", path: "/api/chat", handler: found },
  { method: "GET", path: "/api/tags", handler: found },
  { method: "HEAD", path: "/api/tags", handler: found },
  { method: "GET", path: "/v1/models", handler: found },
  { method: "GET", path: "/v1/models/*", handler: found },
  { method: "GET", path: "/admin/keys", handler: found },
  { method: "PATCH", path: "/admin/keys/:id", handler: found },
  { method: "DELETE", path: "/admin/keys/:id", handler: found },
  { method: "POST", path: "/admin/keys/:id/rotate", handler: found },
];

describe("requests that no route matches", () => {
  const verdicts: readonly (readonly [method: string, path: string, status: number, told: string])[] = [
    ["POST", "/api/chat/", 200, "POST 2"],
    ["GET", "/api/tags/", 200, "GET 0"],
    ["GET", "/api/chat", 405, "POST"],
    ["OPTIONS", "/api/chat", 405, "POST"],
    ["DELETE", "/api/tags/", 405, "GET, HEAD"],
    ["DELETE", "/v1/models/a/b", 405, "GET"],
    ["DELETE", "/v1/models/", 405, "GET"],
    ["PATCH", "/admin/keys/a%2Fb", 200, "PATCH 2"],
    ["PATCH", "/admin/keys/a/", 200, "PATCH 2"],
    ["POST", "/admin/keys/a/rotate/", 200, "POST 2"],
    ["GET", "/admin/keys/", 200, "GET 0"],
    ["POST", "/admin/keys/a", 405, "PATCH, DELETE"],
    ["PATCH", "/admin/keys", 405, "GET"],
    ["PATCH", "/admin/keys/a/rotate", 405, "POST"],
    ["PATCH", "/admin/keys/a/b", 404, ""],
    ["GET", "/api/chat//", 404, ""],
    ["POST", "/api/nothing", 404, ""],
    ["GET", "/v1/responses/resp_1", 404, ""],
  ];
  for (const [method, path, status, told] of verdicts) {
    it(`${method} ${path} gets ${status}`, async (t) => {
      const server = await serve(t, { routes: ROUTES, ...buildFallback(ROUTES) });
      const body = method === "POST" || method === "PATCH" ? { body: "{}" } : {};
      const reply = await fetch(`http://127.0.0.1:${server.port}${path}`, { method, ...body });
      assert.equal(reply.status, status);
      const text = await reply.text();
      if (status === 200) assert.equal(text, told);
      if (status === 405) assert.equal(reply.headers.get("allow"), told);
    });
  }
});

describe("the list of models", () => {
  const names = ["a", "/models/a b.gguf", "./x"];
  const models = names.map((name) => ({ key: name, name, ownedBy: "us", modifiedAt: 1000 }));
  const host = {
    catalogue: { models, find: (name: string) => name },
    keyring: new Keyring({ apiKeys: "", adminKeys: "" }),
    management: [],
    ui: { routes: [], page: found },
    metrics: {},
  } as unknown as RoutesHost;

  for (const path of ["/v1/models", "/v1/models/", "/v1/models//"]) {
    for (const method of ["GET", "HEAD"]) {
      it(`is at ${path}, for ${method}`, async (t) => {
        const server = await serve(t, { routes: buildRoutes(host) });
        const reply = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
        assert.equal(reply.status, 200);
        if (method === "HEAD") return;
        const { data } = (await reply.json()) as { data: { id: string }[] };
        assert.deepEqual(
          data.map(({ id }) => id),
          names,
        );
      });
    }
  }

  it("has entries by ids that are paths", async (t) => {
    const server = await serve(t, { routes: buildRoutes(host) });
    for (const id of ["/models/a b.gguf", "./x"]) {
      const reply = await fetch(`http://127.0.0.1:${server.port}/v1/models/${encodeURIComponent(id)}`);
      assert.equal(((await reply.json()) as { id: string }).id, id);
    }
  });
});

describe("the paths of probes, scrapers and clients", () => {
  const host = {
    catalogue: { models: [], find: () => undefined },
    keyring: new Keyring({ apiKeys: "", adminKeys: "" }),
    version: "1.2.3",
    build: "",
    readiness: { unready: undefined, outOfService: undefined },
    management: [],
    ui: { routes: [], page: found },
    metrics: {
      gateway: () => Promise.resolve("one 1\n"),
      fleet: () => Promise.reject(new Error("no Redis")),
    },
    metricsType: "text/plain",
  } as unknown as RoutesHost;
  it("/readyz goes on to say yes in an outage that passes; with strict it says no at once", async (t) => {
    const away = new Fault("redis_down", "Redis is not reachable");
    const readiness = { unready: away, outOfService: undefined as Fault | undefined };
    const server = await serve(t, { routes: buildRoutes({ ...host, readiness }) });
    const ask = async (query: string): Promise<[number, string, string | null]> => {
      const reply = await fetch(`http://127.0.0.1:${server.port}/readyz${query}`);
      return [reply.status, await reply.text(), reply.headers.get("retry-after")];
    };
    const no = [503, "Redis is not reachable", "1"];
    for (const query of ["", "?", "?verbose"]) {
      assert.deepEqual(await ask(query), [200, "ready, though Redis is not reachable", null]);
    }
    for (const query of ["?strict", "?strict=1", "?a=b&strict"]) assert.deepEqual(await ask(query), no);
    readiness.outOfService = away;
    assert.deepEqual(await ask(""), no);
  });

  const paths = ["/", "/api/version", "/api/tags", "/v1/models", "/healthz", "/readyz", "/metrics"];
  for (const path of [...paths, "/metrics/fleet", "/v1/models/none"]) {
    it(`${path} answers HEAD with the head of GET, and both with the request's id`, async (t) => {
      const server = await serve(t, { routes: buildRoutes(host) });
      const ask = async (method: string): Promise<[number, string | null, string | null]> => {
        const headers = { "x-request-id": `mine-${method}` };
        const reply = await fetch(`http://127.0.0.1:${server.port}${path}`, { method, headers });
        assert.equal(reply.headers.get("x-request-id"), `mine-${method}`);
        assert.equal((await reply.text()) === "", method === "HEAD");
        return [reply.status, reply.headers.get("content-type"), reply.headers.get("content-length")];
      };
      assert.deepEqual(await ask("HEAD"), await ask("GET"));
    });
  }
});
