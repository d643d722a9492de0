import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { ByteQuota } from "../../src/gateway/http/byte-quota.ts";
import type { HttpReply, Route } from "../../src/gateway/http/http.ts";
import type { HttpServer } from "../../src/gateway/http/server.ts";
import { RawClient, serve } from "./http-rig.ts";
import { until } from "../rig/until.ts";

/** A server whose requests wait until the test answers them. */
interface Held {
  readonly server: HttpServer;
  readonly quota: ByteQuota;
  readonly waiting: HttpReply[];
}

async function holding(t: TestContext, limit: number): Promise<Held> {
  const quota = new ByteQuota(limit, () => performance.now());
  const waiting: HttpReply[] = [];
  const route: Route = {
    method: "POST",
    path: "/h",
    handler: (_request, reply) => {
      reply.onGone(() => {});
      waiting.push(reply);
    },
  };
  const server = await serve(t, {
    maxBodyBytes: 10_000_000,
    routes: [route],
    bodies: quota,
    noRoom: (wait) => (_request, reply) => reply.send(503, [["retry-after", String(wait)]], "no room"),
  });
  return { server, quota, waiting };
}

function upload(t: TestContext, port: number, bytes: number): RawClient {
  const client = new RawClient(t, port);
  client.send(`POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`);
  return client;
}

/** Keeps the event loop busy for so many ms. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe("the bodies in memory", () => {
  it("are bounded together: one above the quota gets 503 until another is answered", async (t) => {
    const { server, quota, waiting } = await holding(t, 1000);
    const first = upload(t, server.port, 700);
    await until("waiting.length === 1", () => waiting.length === 1);
    assert.equal(quota.used, 700);
    const refused = upload(t, server.port, 400);
    assert.match(await refused.receives("no room"), /^HTTP\/1.1 503 [^]*retry-after: \d/);
    upload(t, server.port, 300);
    await until("waiting.length === 2", () => waiting.length === 2);
    waiting[0]?.send(200, [], "done");
    await first.receives("done");
    assert.equal(quota.used, 300);
    upload(t, server.port, 600);
    await until("waiting.length === 3", () => waiting.length === 3);
  });

  it("count while they arrive, and no longer when their client leaves", async (t) => {
    const { server, quota } = await holding(t, 1000);
    const slow = new RawClient(t, server.port);
    slow.send(`POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n${"x".repeat(900)}`);
    await until("quota.used === 900", () => quota.used === 900);
    assert.match(await upload(t, server.port, 200).receives("no room"), / 503 /);
    slow.socket.destroy();
    await until("quota.used === 0", () => quota.used === 0);
  });

  it("take no room before they come: a length that is only announced shuts no client out", async (t) => {
    const { server, quota, waiting } = await holding(t, 1000);
    const idle = new RawClient(t, server.port);
    idle.send("POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\nx");
    await until("quota.used === 1", () => quota.used === 1);
    upload(t, server.port, 900);
    await until("waiting.length === 1", () => waiting.length === 1);
    assert.equal(quota.used, 901);
  });

  it("count as they come when they do not tell their length", async (t) => {
    const { server, quota, waiting } = await holding(t, 1000);
    upload(t, server.port, 500);
    await until("waiting.length === 1", () => waiting.length === 1);
    const chunked = new RawClient(t, server.port);
    chunked.send("POST /h HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    chunked.send(`100\r\n${"x".repeat(256)}\r\n`);
    await until("quota.used === 756", () => quota.used === 756);
    chunked.send(`100\r\n${"x".repeat(256)}\r\n`);
    assert.match(await chunked.receives("no room"), / 503 /);
    await until("quota.used === 500", () => quota.used === 500);
  });

  it("count until the end of a stream, whichever side ends it", async (t) => {
    const { server, quota, waiting } = await holding(t, 10_000);
    for (let n = 1; n <= 3; n += 1) {
      upload(t, server.port, 100);
      await until("waiting.length === n", () => waiting.length === n);
    }
    for (const reply of waiting) reply.start(200, [], Buffer.from("a"));
    assert.equal(quota.used, 300);
    waiting[0]?.end();
    assert.equal(quota.used, 200);
    waiting[1]?.destroy();
    assert.equal(quota.used, 100);
  });
});

describe("large bodies", () => {
  it("are handled one per turn of the event loop: small requests come in between", async (t) => {
    const order: string[] = [];
    const handled = (name: string): Route["handler"] => {
      return (_request, reply) => {
        order.push(name);
        // As long as it takes, all that is ready in this turn is handled after it.
        if (name === "large") work(30);
        reply.send(200, [], name);
      };
    };
    const { port } = await serve(t, {
      maxBodyBytes: 10_000_000,
      routes: [
        { method: "POST", path: "/large", handler: handled("large") },
        { method: "POST", path: "/small", handler: handled("small") },
      ],
    });
    const bytes = 1_200_000;
    const clients = Array.from({ length: 8 }, () => new RawClient(t, port));
    for (const client of clients) {
      client.send(`POST /large HTTP/1.1\r\nhost: a\r\ncontent-length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`);
    }
    const small = new RawClient(t, port);
    await until("order.length > 0", () => order.length > 0);
    small.send("POST /small HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
    await Promise.all([small, ...clients].map((client) => client.receives(/(?:large|small)$/)));
    assert.notEqual(order.at(-1), "small");
  });

  it("from clients that left before their turn are not handled", async (t) => {
    const { server, quota, waiting } = await holding(t, 100_000_000);
    const client = upload(t, server.port, 5_000_000);
    await until("quota.used === 5_000_000", () => quota.used === 5_000_000);
    client.socket.destroy();
    await until("quota.used === 0", () => quota.used === 0);
    assert.ok(waiting.every(({ isGone }) => isGone));
  });
});
