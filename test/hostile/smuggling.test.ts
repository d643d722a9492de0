import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import * as fc from "fast-check";
import { ByteQuota } from "../../src/gateway/http/byte-quota.ts";
import type { Handler } from "../../src/gateway/http/http.ts";
import { serve, type ServeOptions } from "../gateway/http-rig.ts";
import { splitAt } from "../rig/split.ts";
import { say } from "./raw.ts";
import { effort } from "./effort.ts";
import { ALONE, BODY, CANARY, chat, CLEAR, LENGTH, told, UNCLEAR } from "./shapes.ts";

/** The wait for what must come ends with it; a machine may be slow. */
const PATIENCE_MS = 20_000;

describe("where a body ends", () => {
  for (const [about, shape] of Object.entries(CLEAR)) {
    test(`${about}: served, and the next request too`, async (t) => {
      const seen: string[] = [];
      const { port } = await serveChats(t, seen);
      const { replies, nonsense } = await say({
        port,
        pieces: [bytesOf(shape)],
        replies: 2,
        silenceMs: PATIENCE_MS,
      });
      assert.equal(nonsense, undefined);
      assert.deepEqual(seen, [BODY]);
      assert.deepEqual(
        replies.map(({ body }) => body),
        ["chatted", "canary"],
      );
    });
  }
  for (const [about, shape] of Object.entries(ALONE)) {
    test(`${about}: served, and the connection closes`, async (t) => {
      const seen: string[] = [];
      const { port } = await serveChats(t, seen);
      const { replies, closed } = await say({
        port,
        pieces: [Buffer.from(shape)],
        replies: 2,
        silenceMs: PATIENCE_MS,
      });
      assert.deepEqual(
        replies.map(({ body, headers }) => [body, headers.get("connection")]),
        [["chatted", "close"]],
      );
      assert.ok(closed);
    });
    test(`${about}: nothing behind it is a request`, async (t) => {
      const seen: string[] = [];
      const { port } = await serveChats(t, seen);
      const { replies } = await say({ port, pieces: [bytesOf(shape)], replies: 2, silenceMs: 200 });
      assert.ok(replies.every(({ body }) => body === "chatted"));
    });
  }
  for (const [about, options] of Object.entries({
    "turned away unread": { guard: () => (_request, reply) => reply.send(401, [], "no key") },
    "too large": { maxBodyBytes: 10 },
  } satisfies Record<string, ServeOptions>)) {
    test(`a chunked body that is ${about}: nothing behind it is a request`, async (t) => {
      const seen: string[] = [];
      const { port } = await serveChats(t, seen, options);
      for (const shape of [...Object.values(ALONE), UNCLEAR["a chunk without its line end"] ?? ""]) {
        const { replies, closed } = await say({
          port,
          pieces: [bytesOf(shape)],
          replies: 2,
          silenceMs: PATIENCE_MS,
        });
        assert.ok(replies.length <= 1 && !replies.some(({ body }) => body === "canary"));
        assert.ok(closed);
      }
    });
  }
  for (const [about, shape] of Object.entries(UNCLEAR)) {
    test(`${about}: nothing behind it is a request`, async (t) => {
      const seen: string[] = [];
      const { port } = await serveChats(t, seen);
      // A server that waits for more hears no more: that it is silent is all there is to see.
      const said = await say({ port, pieces: [bytesOf(shape)], replies: 2, silenceMs: 200 });
      assert.equal(said.nonsense, undefined);
      assert.ok(
        seen.every((body) => body === BODY || body === ""),
        seen.join("\n"),
      );
      assert.ok(said.replies.length <= 1, JSON.stringify(said.replies));
      for (const { status, body } of said.replies) {
        assert.ok(status === 400 || status === 505 || seen.length === 1, `${status} ${body}`);
        assert.notEqual(body, "canary");
      }
    });
  }
  test("packets, wherever they end, change nothing", async (t) => {
    const seen: string[] = [];
    const { port } = await serveChats(t, seen);
    const shapes = [...Object.values(CLEAR), ...Object.values(ALONE), ...Object.values(UNCLEAR)];
    const clear = new Set(Object.values(CLEAR));
    const cut = fc.tuple(fc.constantFrom(...shapes), fc.array(fc.nat(), { minLength: 1, maxLength: 4 }));
    const look = fc.asyncProperty(fc.array(cut, { minLength: 8, maxLength: 8 }), async (talks) => {
      const heard = await Promise.all(
        talks.map(async ([shape, at]) => {
          const pieces = splitAt(bytesOf(shape), at);
          const silenceMs = clear.has(shape) ? PATIENCE_MS : 200;
          return { shape, ...(await say({ port, pieces, replies: 2, silenceMs })) };
        }),
      );
      for (const { shape, replies, nonsense } of heard) {
        assert.equal(nonsense, undefined, JSON.stringify(shape));
        const bodies = replies.map(({ body }) => body);
        if (clear.has(shape)) assert.deepEqual(bodies, ["chatted", "canary"], JSON.stringify(shape));
        else assert.ok(bodies.length <= 1 && !bodies.includes("canary"), JSON.stringify({ shape, bodies }));
      }
      assert.ok(seen.splice(0).every((body) => body === BODY || body === ""));
    });
    await fc.assert(look, effort(t, 10));
  });
  test("a length that is no number takes no room from others", async (t) => {
    const seen: string[] = [];
    const { port } = await serveChats(t, seen);
    for (const length of [`${LENGTH}, ${LENGTH}`, "NaN", "Infinity", "1e3", "-5"]) {
      await say({ port, pieces: [Buffer.from(chat([`Content-Length: ${length}`], BODY))], replies: 1 });
    }
    const next = await say({
      port,
      pieces: [Buffer.from(chat([told], BODY))],
      replies: 1,
      silenceMs: PATIENCE_MS,
    });
    assert.equal(next.replies[0]?.status, 200);
  });
});

function bytesOf(shape: string): Buffer {
  return Buffer.from(shape + CANARY, "latin1");
}

const canary: Handler = (_request, reply) => reply.send(200, [], "canary");

async function serveChats(
  t: TestContext,
  seen: string[],
  options: ServeOptions = {},
): ReturnType<typeof serve> {
  const post: Handler = (request, reply) => {
    seen.push(request.body.toString());
    reply.send(200, [], "chatted");
  };
  return serve(t, {
    ...options,
    bodies: new ByteQuota(1_000_000, () => 0),
    noRoom: () => (_request, reply) => reply.send(503, [], "no room"),
    routes: [
      { method: "POST", path: "/api/chat", handler: post },
      { method: "GET", path: "/canary", handler: canary },
    ],
  });
}
