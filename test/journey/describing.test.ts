import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Agent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { productVersion } from "../../src/config/version.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { Description } from "../conformance/description.ts";
import { journey, MODEL, sharedFleet } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** Questions of clients and tools before their first request. */

const KEY = "key-of-this-test";
const ADMIN_KEY = "admin-of-this-test";
const WITH_KEY = { authorization: `Bearer ${KEY}` };
const run = promisify(execFile);

interface Paths {
  readonly [path: string]: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Paths;
}

/** A path with something in the place of each name in braces. */
function filled(path: string): string {
  if (path.startsWith("/admin/")) return path.replace(/\{\w+\}/, "unknown");
  return path.replace("{id}", "org%2Fmodel").replace("{digest}", `sha256:${"0".repeat(64)}`);
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly reused: boolean;
}

/** The headers, but for those of the moment. */
function headersOf({ headers }: Answer): object {
  return { ...headers, date: "", "x-request-id": "" };
}

function ask(agent: Agent, method: string, url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, agent, headers: WITH_KEY }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => (body += part));
      const { statusCode: status, headers } = response;
      response.on("end", () => resolve({ status, headers, body, reused: request.reusedSocket }));
    });
    request.on("error", reject).end();
  });
}

journey("a fleet without a model cannot serve, one with a model can", { posts: [] }, async (fleet) => {
  const { url } = fleet.gateway;
  const ofPath = async (path: string): Promise<number> => (await fetch(url + path)).status;
  const asked = ["/health", "/v1/health", "/ping", "/readyz", "/healthz"];
  assert.deepEqual(await Promise.all(asked.map(ofPath)), [503, 503, 503, 200, 200]);
  const reply = await fetch(`${url}/health`);
  assert.match(((await reply.json()) as { error: { message: string } }).error.message, /^Loading model/);
  await fleet.addPost();
  // As a benchmark waits for its server before it begins.
  await until("a gateway that can serve", async () => (await ofPath("/health")) === 200);
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  assert.ok(data.some(({ id }) => id.startsWith(MODEL)));
  await fleet.redis.kill();
  await until("a gateway that cannot", async () => (await ofPath("/health")) === 503);
  assert.deepEqual(await Promise.all(["/ping", "/healthz"].map(ofPath)), [503, 200]);
  await fleet.redis.startAgain({ empty: false });
  await until("a gateway that can serve again", async () => (await ofPath("/health")) === 200);
  await until("the test's own connection", () => fleet.probe.ready);
});

async function hasCurl(): Promise<boolean> {
  return run("curl", ["--version"]).then(
    () => true,
    () => false,
  );
}

const locked = sharedFleet({ env: { SGNET_API_KEY: KEY, SGNET_ADMIN_KEY: ADMIN_KEY } });

locked("probes and the description need no key, all else does", async (fleet) => {
  const { url } = fleet.gateway;
  for (const path of ["/health", "/v1/health", "/ping", "/version", "/openapi.json", "/metrics"]) {
    for (const method of ["GET", "HEAD"]) {
      assert.equal((await fetch(url + path, { method })).status, 200, path);
      assert.equal((await fetch(`${url}${path}/`, { method })).status, 200, `${path}/`);
    }
  }
  assert.equal((await fetch(`${url}/v1/models`)).status, 401);
  assert.deepEqual(await (await fetch(`${url}/version`)).json(), { version: productVersion() });
});

locked("the description is that of the gateway that gives it", async (fleet) => {
  const { url } = fleet.gateway;
  const reply = await fetch(`${url}/openapi.json`);
  assert.equal(reply.headers.get("content-type"), "application/json");
  const text = await reply.text();
  const { openapi, info, paths } = JSON.parse(text) as Document;
  assert.deepEqual([openapi, info.version], ["3.1.0", productVersion()]);
  assert.equal(await (await fetch(`${url}/openapi.json`)).text(), text);
  for (const [path, methods] of Object.entries(paths)) {
    // No path has this method: the gateway tells those that would do.
    const { status, headers } = await fetch(url + filled(path), { method: "PUT", headers: WITH_KEY });
    const allowed = (headers.get("allow") ?? "").toLowerCase().split(", ");
    assert.deepEqual([status, allowed.toSorted()], [405, Object.keys(methods).toSorted()], path);
  }
});

locked("every GET and every order is answered as described", async (fleet, t) => {
  const { url } = fleet.gateway;
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
  const description = new Description(document as unknown as JsonObject);
  const asked = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: filled(path) })),
  );
  // The stream of the page has no end.
  for (const { method, path } of asked.filter((one) => one.path !== "/ui/events")) {
    for (const key of [KEY, ADMIN_KEY, ""]) {
      await t.test(`${method} ${path} ${key}`, async () => {
        const found = description.find(method, decodeURIComponent(path));
        assert.ok(found !== undefined);
        const sends = method !== "GET" && method !== "HEAD";
        const body = sends ? { body: JSON.stringify({ model: "tiny", worker: "none", id: "1-1" }) } : {};
        const reply = await fetch(url + path, {
          method,
          headers: { authorization: `Bearer ${key}` },
          ...body,
        });
        const told = { status: reply.status, headers: new Map(reply.headers), body: await reply.text() };
        assert.deepEqual(description.problemsOfReply(found, told), []);
      });
    }
  }
});

locked("a HEAD has the head of the GET, and leaves its connection as it was", async (fleet, t) => {
  const { url } = fleet.gateway;
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
  const all = Object.keys(paths).filter((path) => "get" in (paths[path] ?? {}) && path !== "/ui/events");
  // The load of the process differs from one look at the metrics to the next.
  const looked = [...all, `/v1/models/${MODEL}`, "/v1/models/"].filter(
    (path) => !path.startsWith("/metrics"),
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (const path of looked) {
    await t.test(path, async () => {
      const head = await ask(agent, "HEAD", url + filled(path));
      const get = await ask(agent, "GET", url + filled(path));
      assert.deepEqual([head.status, head.body, get.reused], [get.status, "", true]);
      assert.deepEqual(headersOf(head), headersOf(get));
      assert.equal(get.headers["content-length"], String(Buffer.byteLength(get.body)));
    });
  }
  const skip = (await hasCurl()) ? false : "curl is not installed";
  await t.test("for curl, too", { skip }, async () => {
    const asked = ["/health", "/v1/models/", "/openapi.json", "/ui", "/metrics", "/api/ps"];
    const told = "%{http_code} %{size_download} %{num_connects}\n";
    const options = ["-s", "-I", "-o", "/dev/null", "-w", told, "-H", `authorization: Bearer ${KEY}`];
    const each = asked.flatMap((path, index) => [...(index === 0 ? [] : ["--next"]), ...options, url + path]);
    const { stdout } = await run("curl", each);
    const lines = stdout.trim().split("\n");
    assert.deepEqual(lines, ["200 0 1", ...asked.slice(1).map(() => "200 0 0")]);
  });
  agent.destroy();
});
