import assert from "node:assert/strict";
import { LimitChecks } from "../../src/gateway/access/limit-checks.ts";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import type { KeyRecord, KeyRole } from "../../src/core/access/key-record.ts";
import type { Principal } from "../../src/core/access/principal.ts";
import { buildGuard } from "../../src/gateway/http/guard.ts";
import type { Handler, Route } from "../../src/gateway/http/http.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import type { RecordedKeys } from "../../src/gateway/http/keyring.ts";
import { OriginPolicy } from "../../src/gateway/http/origin-policy.ts";
import type { RefusalFacts } from "../../src/gateway/http/refusal-log.ts";
import { RouteTable } from "../../src/gateway/http/route-table.ts";
import { WrongKeys } from "../../src/gateway/http/wrong-keys.ts";
import { asksForPage, openUi } from "../../src/gateway/live-page.ts";
import { openManagement } from "../../src/gateway/open-management.ts";
import { buildFallback, buildRoutes } from "../../src/gateway/routes.ts";
import type { RoutesHost } from "../../src/gateway/routes.ts";
import { serve } from "./http-rig.ts";

function digestOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function recordOf(secret: string, role: KeyRole): KeyRecord {
  const id = `k${secret.padEnd(10, "0")}`;
  const digest = digestOf(secret);
  return { id, name: `the ${secret}`, tenant: "lab", digest, hint: "", role, models: ["*"], created: 0 };
}

/** Keys with records; the name of a role is the secret of one key with it. */
class Records implements RecordedKeys {
  readonly known: Map<string, Principal>;
  readonly hasClients: boolean;

  constructor(roles: readonly KeyRole[] = ["client", "admin", "observer"]) {
    this.hasClients = roles.includes("client");
    this.known = new Map(roles.map((role) => [digestOf(role), { role, key: recordOf(role, role) }]));
  }

  get isEmpty(): boolean {
    return this.known.size === 0;
  }

  find(digest: Buffer): Principal | undefined {
    return this.known.get(digest.toString("hex"));
  }
}

const found: Handler = (request, reply) => reply.send(200, [], request.path);

/** Every route of a gateway, each with a handler that answers 200. */
function allRoutes(keyring: Keyring): readonly Route[] {
  const management = openManagement({
    catalogue: { onRefresh: () => {} },
    path: { sender: {}, availability: {} },
    access: { keyring, limits: new LimitChecks([]) },
    stores: {},
    metrics: { observe: () => {} },
    unknownModel: (fault: unknown) => fault,
  } as unknown as Parameters<typeof openManagement>[0]);
  const ui = openUi(found);
  const routes = buildRoutes({ catalogue: { models: [] }, management, ui } as unknown as RoutesHost);
  return routes.flatMap((route): Route[] => [{ ...route, handler: found }]);
}

interface Rig {
  readonly url: string;
  readonly routes: readonly Route[];
  readonly refused: { readonly code: string; readonly facts: RefusalFacts | undefined }[];
  readonly wrong: boolean[];
}

async function rig(
  t: TestContext,
  {
    records = new Records(),
    apiKeys = "",
    adminKeys = "",
    routes,
  }: Partial<{
    records: RecordedKeys;
    apiKeys: string;
    adminKeys: string;
    routes: readonly Route[];
  }> = {},
): Promise<Rig> {
  const keyring = new Keyring({ apiKeys, adminKeys }, records);
  const served = routes ?? allRoutes(keyring);
  const table = new RouteTable(served);
  const refused: Rig["refused"] = [];
  const wrong: boolean[] = [];
  const guard = buildGuard({
    origins: new OriginPolicy({ origins: "", listen: "127.0.0.1", own: [] }),
    keyring,
    isPublic: asksForPage,
    onRefused: (code, _request, facts) => void refused.push({ code, facts }),
    onWrongKey: (isLimited) => void wrong.push(isLimited),
    routeOf: (request) => table.routeOf(request),
    wrongKeys: new WrongKeys(() => 0),
  });
  const server = await serve(t, { routes: served, ...buildFallback(served), guard });
  return { url: `http://127.0.0.1:${server.port}`, routes: served, refused, wrong };
}

function concrete(path: string): string {
  return path.replace(/\*$/, "x");
}

function bearing(key: string): { headers: { authorization: string } } {
  return { headers: { authorization: `Bearer ${key}` } };
}

const BODY = { POST: { body: "{}" }, PUT: { body: "{}" } } as Readonly<Record<string, { body: string }>>;

/** The paths that a request of an observer may read. */
const VIEWS = [
  "/",
  "/api/ps",
  "/api/status",
  "/api/tags",
  "/api/version",
  "/health",
  "/healthz",
  "/metrics",
  "/metrics/fleet",
  "/openapi.json",
  "/ping",
  "/readyz",
  "/ui",
  "/ui/admin.js",
  "/ui/chart.js",
  "/ui/chat.js",
  "/ui/events",
  "/ui/keys.js",
  "/ui/manage.js",
  "/ui/page.css",
  "/ui/page.js",
  "/ui/stream.js",
  "/ui/usage.js",
  "/v1/health",
  "/v1/models",
  "/v1/models/*",
  "/version",
];

describe("the key of an observer", () => {
  it("reads the views of the fleet and gets 403 for every other route", async (t) => {
    const { url, routes, refused } = await rig(t);
    const seen = new Set<string>();
    for (const { method, path } of routes) {
      const request = { method, ...BODY[method], ...bearing("observer") };
      for (const asked of [concrete(path), `${concrete(path)}/`]) {
        const reply = await fetch(`${url}${asked}`, request);
        const text = await reply.text();
        if (reply.status === 200) seen.add(path);
        else assert.equal(reply.status, 403, `${method} ${asked}`);
        const isView = VIEWS.includes(path) && (method === "GET" || method === "HEAD");
        assert.equal(reply.status === 200, isView, `${method} ${asked}: ${text}`);
        assert.equal(reply.headers.get("x-sgnet-role"), "observer");
      }
    }
    assert.deepEqual([...seen].toSorted(), VIEWS);
    assert.ok(refused.length > 20 && refused.every(({ code }) => code === "forbidden"));
  });

  it("gets 403 for unknown paths and methods, and for a route that declares no role", async (t) => {
    const routes: Route[] = [{ method: "GET", path: "/new", handler: found }];
    const { url } = await rig(t, { routes });
    for (const path of ["/new", "/other"]) {
      assert.equal((await fetch(`${url}${path}`, bearing("observer"))).status, 403);
      assert.equal((await fetch(`${url}${path}`, { method: "DELETE", ...bearing("observer") })).status, 403);
    }
    assert.equal((await fetch(`${url}/new`, bearing("client"))).status, 200);
  });

  it("is refused in the dialect of the path, before the body is read", async (t) => {
    const { url } = await rig(t);
    const ask = async (path: string): Promise<unknown> => {
      const reply = await fetch(`${url}${path}`, { method: "POST", body: "{}", ...bearing("observer") });
      assert.equal(reply.status, 403);
      return reply.json();
    };
    const message = "the key of an observer shows the fleet and its figures, and allows nothing else";
    assert.deepEqual(await ask("/api/chat"), { error: message });
    assert.equal(
      ((await ask("/v1/chat/completions")) as { error: { message: string } }).error.message,
      message,
    );
    const anthropic = (await ask("/v1/messages")) as { error: { type: string; message: string } };
    assert.deepEqual([anthropic.error.type, anthropic.error.message], ["permission_error", message]);
  });
});

describe("the keys of clients and admins", () => {
  it("pass the guard on every route, as does no key while none is needed", async (t) => {
    const locked = await rig(t);
    const open = await rig(t, { records: new Records([]) });
    for (const { method, path } of locked.routes) {
      for (const key of ["client", "admin"]) {
        const reply = await fetch(`${locked.url}${concrete(path)}`, {
          method,
          ...BODY[method],
          ...bearing(key),
        });
        assert.equal(reply.status, 200, `${key} ${method} ${path}`);
        assert.equal(reply.headers.get("x-sgnet-role"), null);
      }
      const reply = await fetch(`${open.url}${concrete(path)}`, { method, ...BODY[method] });
      assert.equal(reply.status, 200, `${method} ${path}`);
    }
    assert.deepEqual(locked.refused, []);
  });

  it("of a record make an admin as those of the setting do", () => {
    const ring = new Keyring({ apiKeys: "c", adminKeys: "root" }, new Records());
    const rightsOf = (authorization: string, apiKey = ""): [boolean, boolean] => {
      const credentials = { authorization, apiKey };
      return [ring.isClient(credentials), ring.isAdmin(credentials)];
    };
    assert.deepEqual(rightsOf("Bearer admin"), [true, true]);
    assert.deepEqual(rightsOf("Bearer root"), [true, true]);
    assert.deepEqual(rightsOf("Bearer client"), [true, false]);
    assert.deepEqual(rightsOf("Bearer none"), [false, false]);
  });
});

describe("a request with two keys", () => {
  const ring = new Keyring({ apiKeys: "c1,c2", adminKeys: "root" }, new Records());
  const nameOf = (bearer: string, apiKey: string): string | undefined =>
    ring.identify({ authorization: `Bearer ${bearer}`, apiKey })?.key?.name;

  it("has the rights of the valid one, wherever it stands", () => {
    assert.equal(nameOf("wrong", "c2"), "env-2");
    assert.equal(nameOf("c2", "wrong"), "env-2");
    assert.equal(nameOf("wrong", "observer"), "the observer");
    assert.equal(nameOf("wrong", "nothing"), undefined);
  });

  it("has the rights of the one that may do more, and of two clients is the bearer", () => {
    assert.equal(nameOf("c1", "root"), "env-admin-1");
    assert.equal(nameOf("root", "c1"), "env-admin-1");
    assert.equal(nameOf("c1", "admin"), "the admin");
    assert.equal(nameOf("observer", "c1"), "env-1");
    assert.equal(nameOf("client", "c1"), "the client");
    assert.equal(nameOf("c1", "client"), "env-1");
  });
});

/** The names of the keys with these secrets. */
function namesIn(ring: Keyring, secrets: readonly string[]): (string | undefined)[] {
  return secrets.map((apiKey) => ring.identify({ authorization: "", apiKey })?.key?.name);
}

describe("keys of the environment", () => {
  it("are numbered in the order of their list, each secret once", () => {
    const ring = new Keyring({ apiKeys: "b, a,b,,c", adminKeys: "y,x" });
    assert.deepEqual(namesIn(ring, ["b", "a", "c", "y", "x"]), [
      "env-1",
      "env-2",
      "env-3",
      "env-admin-1",
      "env-admin-2",
    ]);
    const longer = new Keyring({ apiKeys: "b,a,c,d", adminKeys: "y,x,z" });
    assert.deepEqual(namesIn(longer, ["b", "a", "c"]), ["env-1", "env-2", "env-3"]);
  });

  it("in both lists are an admin's", () => {
    const ring = new Keyring({ apiKeys: "a,both", adminKeys: "both" });
    const both = ring.identify({ authorization: "", apiKey: "both" });
    assert.deepEqual([both?.role, both?.key?.name, both?.key?.tenant], ["admin", "env-admin-1", "env"]);
    assert.deepEqual(namesIn(ring, ["a"]), ["env-1"]);
  });

  it("win over a record with the same secret, unless that may do more", () => {
    const records = new Records();
    assert.deepEqual(namesIn(new Keyring({ apiKeys: "client", adminKeys: "" }, records), ["client"]), [
      "env-1",
    ]);
    assert.deepEqual(namesIn(new Keyring({ apiKeys: "admin", adminKeys: "" }, records), ["admin"]), [
      "the admin",
    ]);
  });
});

describe("a revoked key", () => {
  it("is refused at the next request of the same connection, and known for the rest of its own", async (t) => {
    const records = new Records();
    const again: boolean[] = [];
    const keyring = new Keyring({ apiKeys: "", adminKeys: "" }, records);
    const headers = { authorization: "Bearer client", apiKey: "" };
    assert.ok(keyring.isClient(headers) && keyring.isStillValid(headers));
    const { url } = await rig(t, { records, routes: [{ method: "GET", path: "/a", handler: found }] });
    assert.equal((await fetch(`${url}/a`, bearing("client"))).status, 200);
    records.known.delete(digestOf("client"));
    assert.equal((await fetch(`${url}/a`, bearing("client"))).status, 401);
    again.push(keyring.isClient(headers), keyring.isStillValid(headers));
    assert.deepEqual(again, [true, false]);
  });
});

describe("wrong keys", () => {
  const GET: Route[] = [{ method: "GET", path: "/a", handler: found }];

  it("get 429 after 20 of one network, with the time to wait; a valid key passes all the while", async (t) => {
    const { url, refused, wrong } = await rig(t, { routes: GET });
    const statusOf = async (key: string): Promise<number> => (await fetch(`${url}/a`, bearing(key))).status;
    for (let n = 0; n < 20; n += 1) assert.equal(await statusOf(`guess-${n}`), 401);
    const reply = await fetch(`${url}/a`, bearing("guess-20"));
    assert.equal(reply.status, 429);
    assert.equal(reply.headers.get("retry-after"), "3");
    assert.equal(reply.headers.get("x-should-retry"), "false");
    assert.deepEqual(await reply.json(), {
      error: "too many wrong API keys came from this address: a valid key still works",
    });
    assert.equal(await statusOf("client"), 200);
    assert.equal(await statusOf("guess-21"), 429);
    assert.deepEqual(wrong, [...Array<boolean>(20).fill(false), true, true]);
    assert.deepEqual(refused[0], { code: "unauthorized", facts: { wrongKeyOf: "127.0.0.1" } });
    assert.deepEqual(refused.at(-1), { code: "rate_limited", facts: { wrongKeyOf: "127.0.0.1" } });
  });

  it("are not counted without a key, on open paths, and where no key is needed", async (t) => {
    const locked = await rig(t);
    for (let n = 0; n < 30; n += 1) {
      assert.equal((await fetch(`${locked.url}/api/tags`)).status, 401);
      assert.equal((await fetch(`${locked.url}/healthz`, bearing("wrong"))).status, 200);
    }
    assert.deepEqual(locked.refused.at(-1), { code: "unauthorized", facts: undefined });
    const open = await rig(t, { records: new Records([]), adminKeys: "root" });
    for (let n = 0; n < 30; n += 1)
      assert.equal((await fetch(`${open.url}/api/tags`, bearing("any"))).status, 200);
    assert.deepEqual([...locked.wrong, ...open.wrong], []);
  });

  it("are counted on the paths of admins, also beside a valid client key and at an open gateway", async (t) => {
    const locked = await rig(t);
    const open = await rig(t, { records: new Records([]), adminKeys: "root" });
    const headers = { authorization: "Bearer client", "x-api-key": "guess" };
    for (let n = 0; n < 20; n += 1) {
      assert.equal((await fetch(`${locked.url}/admin/dead`, { headers })).status, 200);
      assert.equal((await fetch(`${open.url}/admin/dead`, bearing("guess"))).status, 200);
    }
    assert.equal((await fetch(`${locked.url}/admin/dead`, { headers })).status, 429);
    assert.equal((await fetch(`${open.url}/admin/dead`, bearing("guess"))).status, 429);
    assert.equal((await fetch(`${open.url}/admin/dead`, bearing("root"))).status, 200);
    assert.equal((await fetch(`${open.url}/admin/dead`)).status, 200);
    assert.equal((await fetch(`${locked.url}/admin/dead`, bearing("client"))).status, 200);
  });

  it("have room again as time goes on, at 20 a minute, and one network takes none from another", () => {
    let now = 1_000_000;
    const keys = new WrongKeys(() => now);
    const inAll = (remote: string, tries: number): number =>
      Array.from({ length: tries }, () => keys.count(remote)).filter((wait) => wait === 0).length;
    assert.equal(inAll("192.0.2.1", 100), 20);
    assert.equal(inAll("192.0.2.2", 100), 20);
    now += 3000;
    assert.equal(inAll("192.0.2.1", 100), 1);
    now += 60_000;
    assert.equal(inAll("192.0.2.1", 100), 20);
    // Addresses of one household share a bucket.
    assert.equal(inAll("2001:db8::1", 15) + inAll("2001:db8::2", 15), 20);
    assert.equal(inAll("", 30), 20);
  });

  it("of any number of networks take bounded memory, and quiet networks are forgotten", () => {
    let now = 0;
    const keys = new WrongKeys(() => now);
    for (let n = 0; n < 20_000; n += 1) keys.count(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    assert.equal(keys.size, 4096);
    now += 120_000;
    keys.count("192.0.2.1");
    assert.equal(keys.size, 1);
  });
});

describe("a route table", () => {
  it("finds what the fallback finds", () => {
    const routes: Route[] = [
      { method: "GET", path: "/v1/models/*", handler: found, role: "observer" },
      { method: "POST", path: "/v1/models/own", handler: found },
    ];
    const table = new RouteTable(routes);
    const roleOf = (method: string, path: string): string | undefined =>
      table.routeOf({ method, path })?.role;
    assert.equal(roleOf("GET", "/v1/models/a/b/"), "observer");
    assert.equal(roleOf("GET", "/v1/models/own"), undefined);
    assert.equal(roleOf("POST", "/v1/models/a"), undefined);
  });
});
