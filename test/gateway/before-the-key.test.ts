import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteQuota } from "../../src/gateway/http/byte-quota.ts";
import type { Handler, Route } from "../../src/gateway/http/http.ts";
import { buildFallback, buildRefusals } from "../../src/gateway/routes.ts";
import { RawClient, serve, type ServeOptions } from "./http-rig.ts";
import { until } from "../rig/until.ts";

/** Bounds of the memory and work that a client can cause before anything about it is known. */

const MIB = 1024 * 1024;

const answer: Handler = (request, reply) => reply.send(200, [], `read ${request.body.length}`);
const ROUTES: readonly Route[] = [
  { method: "GET", path: "/healthz", handler: answer },
  { method: "POST", path: "/h", handler: answer },
];

const refusals = buildRefusals(64 * MIB, () => {});

function options(quota: ByteQuota): ServeOptions {
  return { routes: ROUTES, ...buildFallback(ROUTES), ...refusals, bodies: quota, maxBodyBytes: 64 * MIB };
}

function plenty(): ByteQuota {
  return new ByteQuota(1024 * MIB, () => performance.now());
}

describe("a body that nothing reads", () => {
  for (const [what, head, status] of [
    ["to a path that only answers GET", "GET /healthz", 200],
    ["with another method", "POST /healthz", 405],
    ["to an unknown path", "POST /nowhere", 404],
    ["to an unknown path, with another method", "PATCH /h", 405],
  ] as const) {
    it(`is not collected: ${what}`, async (t) => {
      const quota = plenty();
      const { port } = await serve(t, options(quota));
      const client = new RawClient(t, port);
      client.send(`${head} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n`);
      assert.match(await client.closes(), new RegExp(`^HTTP/1.1 ${status} `));
      assert.equal(quota.used, 0);
      const told = new RawClient(t, port);
      told.send(`${head} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello`);
      await told.receives(` ${status} `);
      told.send("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
      await told.receives(/ 200 [^]*read 0$/);
    });
  }
});

describe("a body on its way", () => {
  it("takes memory as it comes, not as it is announced", async (t) => {
    const quota = plenty();
    const { port } = await serve(t, options(quota));
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 40; n += 1) {
      const client = new RawClient(t, port);
      client.send(`POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: ${64 * MIB}\r\n\r\nx`);
    }
    await until("quota.used === 40", () => quota.used === 40);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 4 * MIB, `${(grown / MIB).toFixed(0)} MiB for 40 bytes`);
  });

  it("counts with all the memory that it holds", async (t) => {
    const quota = plenty();
    const { port } = await serve(t, options(quota));
    const client = new RawClient(t, port);
    const before = process.memoryUsage().arrayBuffers;
    client.send(`POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: ${8 * MIB}\r\n\r\n`);
    for (let sent = 0; sent < 5; sent += 1) {
      client.send("x".repeat(MIB));
      await until("quota.used >= (sent + 1) * MIB", () => quota.used >= (sent + 1) * MIB);
    }
    const held = process.memoryUsage().arrayBuffers - before;
    assert.ok(quota.used <= 8 * MIB);
    assert.ok(held < quota.used + 4 * MIB, `${held} held, ${quota.used} counted`);
  });

  it("is whole whatever the pieces", async (t) => {
    let seen = "";
    const handler: Handler = (request, reply) => {
      seen = request.body.toString();
      reply.send(200, [], "ok");
    };
    const { port } = await serve(t, { routes: [{ method: "POST", path: "/h", handler }] });
    const text = Array.from({ length: 500 }, (_, index) => `${index};`).join("");
    const chunks = new RawClient(t, port);
    chunks.send("POST /h HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    for (let at = 0; at < text.length; at += 7) {
      const piece = text.slice(at, at + 7);
      chunks.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    }
    chunks.send("0\r\n\r\n");
    await chunks.receives("ok");
    assert.equal(seen, text);
  });

  it("is refused when it comes in crumbs, long before it is large", async (t) => {
    const quota = plenty();
    const { port } = await serve(t, options(quota));
    const client = new RawClient(t, port);
    client.send("POST /h HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("1\r\nx\r\n".repeat(6000));
    assert.match(await client.closes(), /^HTTP\/1.1 400 [^]*too many small pieces/);
    await until("quota.used === 0", () => quota.used === 0);
  });
});

describe("a PROXY protocol preface", () => {
  const address = [1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 0, 81];
  const head = Buffer.from([0x21, 0x11, 0, address.length, ...address]).toString("latin1");
  const preface = `\r\n\r\n\0\r\nQUIT\n${head}`;

  it("is refused: no client may state the address of another", async (t) => {
    const { port } = await serve(t, options(plenty()));
    const client = new RawClient(t, port);
    client.send(`${preface}GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n`);
    assert.match(await client.closes(), /^HTTP\/1.1 400 [^]*PROXY protocol/);
  });

  it("is refused between requests, too", async (t) => {
    const { port } = await serve(t, options(plenty()));
    const client = new RawClient(t, port);
    client.send("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
    await client.receives(" 200 ");
    client.send(`${preface}GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n`);
    assert.match(await client.closes(), / 200 [^]* 400 [^]*PROXY protocol/);
  });
});
