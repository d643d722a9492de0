import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { BackendAddress } from "../../src/backends/address.ts";
import { PortWatcher } from "../../src/backends/port-watcher.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";
import { LocalServer } from "../rig/local-server.ts";
import { until } from "../rig/until.ts";

/** A port that is free now. */
async function freePort(): Promise<number> {
  const standIn = await startStandIn();
  const { port } = standIn;
  await standIn.stop();
  return port;
}

/** A watch, and the backends that it finds, one after the other. */
function watch(
  t: TestContext,
  ports: readonly number[],
  options: { known?: readonly number[]; refusals?: number } = {},
): { readonly found: () => Promise<BackendAddress>; readonly count: () => number } {
  const { known = [], refusals = 0 } = options;
  const seen: BackendAddress[] = [];
  let left = refusals;
  let news = Promise.withResolvers<void>();
  const one = new PortWatcher({
    ports,
    known: new Set(known.map((port) => `http://127.0.0.1:${port}`)),
    firstMs: 5,
    onFound: async (address) => {
      left -= 1;
      if (left >= 0) return Promise.reject(new Error("Redis is away"));
      seen.push(address);
      news.resolve();
      return Promise.resolve();
    },
  });
  one.start();
  t.after(() => one.stop());
  return {
    count: () => seen.length,
    found: async () => {
      while (seen.length === 0) {
        await news.promise;
        news = Promise.withResolvers();
      }
      return seen[0] ?? assert.fail();
    },
  };
}

test("a server that starts later is found, once", async (t) => {
  const port = await freePort();
  const { found, count } = watch(t, [port]);
  const standIn = await startStandIn({ speaks: "ollama", port });
  t.after(() => standIn.stop());
  const { kind, url } = await found();
  assert.deepEqual([kind, url], ["ollama", standIn.url]);
  assert.equal(count(), 1);
});

test("one that cannot be taken on now is found again", async (t) => {
  const standIn = await startStandIn({ speaks: "openai" });
  t.after(() => standIn.stop());
  const { found } = watch(t, [standIn.port], { refusals: 2 });
  assert.equal((await found()).kind, "openai");
});

test("what is known is left alone, and what is no backend is asked ever more seldom", async (t) => {
  const known = await startStandIn({ speaks: "ollama" });
  t.after(() => known.stop());
  const looks: string[] = [];
  const web = await LocalServer.forTest(t, (request, response) => {
    if (request.url === "/") looks.push(request.url);
    response.writeHead(404).end();
  });
  const later = await freePort();
  const { found, count } = watch(t, [known.port, web.port, later], { known: [known.port] });
  await until("three requests", () => looks.length >= 3);
  const standIn = await startStandIn({ speaks: "ollama", port: later });
  t.after(() => standIn.stop());
  assert.equal((await found()).url, standIn.url);
  assert.equal(count(), 1);
});

test("a watch that was stopped finds nothing", async (t) => {
  const standIn = await startStandIn({ speaks: "ollama" });
  t.after(() => standIn.stop());
  const one = new PortWatcher({
    ports: [standIn.port],
    known: new Set(),
    firstMs: 0,
    onFound: async () => assert.fail(),
  });
  one.start();
  await one.stop();
});
