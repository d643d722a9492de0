import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Allowance } from "../../src/gateway/allowance.ts";
import type { Handler } from "../../src/gateway/http.ts";
import { serve } from "../gateway/http-rig.ts";
import { say } from "./raw.ts";

const BODY = '{"model":"tiny","messages":[{"role":"user","content":"hello"}]}';
const LENGTH = BODY.length;
const HEX = LENGTH.toString(16);
const CHUNKS = `${HEX}\r\n${BODY}\r\n0\r\n\r\n`;
const CANARY = "GET /canary HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/** A chat with these header lines and what follows them. */
function chat(lines: readonly string[], rest: string): string {
  return ["POST /api/chat HTTP/1.1", "Host: 127.0.0.1", ...lines, "", rest].join("\r\n");
}

const told = `Content-Length: ${LENGTH}`;
const chunked = "Transfer-Encoding: chunked";

/** Everybody reads these in the same way: they are served, and so is the request behind them. */
const CLEAR: Readonly<Record<string, string>> = {
  "a length": chat([told], BODY),
  "a length in blanks": chat([`Content-Length:   ${LENGTH}   `], BODY),
  "a length after a tab": chat([`Content-Length:\t${LENGTH}`], BODY),
  "a length with zeros before it": chat([`Content-Length: 000${LENGTH}`], BODY),
  "a header in capitals": chat([told.toUpperCase()], BODY),
  chunks: chat([chunked], CHUNKS),
  "chunks in capitals": chat([chunked.toUpperCase()], CHUNKS),
  "a request for 100 Continue": chat(["Expect: 100-continue", told], BODY),
  "an expectation nobody knows": chat(["Expect: 999", told], BODY),
  "an upgrade nobody knows": chat(["Connection: Upgrade", "Upgrade: h2c", told], BODY),
};

/** Two servers may read these in two ways, or they are no HTTP: nothing behind them is taken for a request. */
const UNCLEAR: Readonly<Record<string, string>> = {
  "a length and chunks": chat([told, chunked], CHUNKS),
  "chunks and a length": chat([chunked, "Content-Length: 4"], CHUNKS),
  "two lengths": chat([told, `Content-Length: ${LENGTH + CANARY.length}`], BODY),
  "no length and one": chat(["Content-Length: 0", told], BODY),
  "one length twice": chat([told, told], BODY),
  "a list of lengths": chat([`${told}, ${LENGTH}`], BODY),
  "a length with a sign": chat([`Content-Length: +${LENGTH}`], BODY),
  "a length below zero": chat(["Content-Length: -1"], BODY),
  "a length in base 16": chat([`Content-Length: 0x${HEX}`], BODY),
  "a length of words": chat(["Content-Length: NaN"], BODY),
  "a length that is empty": chat(["Content-Length: "], BODY),
  "a length beyond 64 bits": chat(["Content-Length: 18446744073709551616"], BODY),
  "a blank before the colon": chat([`Content-Length : ${LENGTH}`], BODY),
  "a blank before chunked's colon": chat(["Transfer-Encoding : chunked"], CHUNKS),
  "a folded line": chat(["X: a", ` ${told}`, told], BODY),
  "a folded encoding": chat(["Transfer-Encoding:", " chunked"], CHUNKS),
  "a line that begins with a blank": chat([` ${told}`, told], BODY),
  "an encoding nobody knows": chat(["Transfer-Encoding: xchunked"], CHUNKS),
  "another encoding before chunked": chat(["Transfer-Encoding: gzip, chunked"], CHUNKS),
  "the encoding identity": chat(["Transfer-Encoding: identity", told], BODY),
  "an encoding that is empty": chat(["Transfer-Encoding: ", told], BODY),
  "an empty encoding alone": chat(["Transfer-Encoding: "], CHUNKS),
  "two encodings": chat([chunked, "Transfer-Encoding: identity"], CHUNKS),
  "chunked twice": chat([chunked, chunked], CHUNKS),
  "an empty length and chunks": chat(["Content-Length: ", chunked], CHUNKS),
  "a header without a name": chat([": x", told], BODY),
  "a header without a colon": chat(["garbage", told], BODY),
  "a line that ends with LF alone": chat([`X: a\nContent-Length: 3`, told], BODY),
  "all lines with LF alone": chat([told], BODY).replaceAll("\r\n", "\n"),
  "a CR within a line": chat(["X: a\rb", told], BODY),
  "a NUL within a line": chat(["X: a\0b", told], BODY),
  "a chunk below zero": chat([chunked], `-${CHUNKS}`),
  "a chunk beyond 64 bits": chat([chunked], `ffffffffffffffff\r\n${BODY}\r\n0\r\n\r\n`),
  "a chunk size with 0x": chat([chunked], `0x${CHUNKS}`),
  "a chunk size behind a blank": chat([chunked], ` ${CHUNKS}`),
  // Legal, but no client sends it, and the native parser takes it for a part of the size.
  "a chunk with an extension": chat([chunked], CHUNKS.replace("\r\n", ";a=b\r\n")),
  "an extension with a line break": chat([chunked], CHUNKS.replace("\r\n", ';a="\r\n\r\n')),
  "a trailer": chat([chunked], `${HEX}\r\n${BODY}\r\n0\r\nX-A: b\r\n\r\n`),
  "a trailer with a length": chat([chunked], `${HEX}\r\n${BODY}\r\n0\r\nContent-Length: 5\r\n\r\n`),
  "two hosts": chat(["Host: elsewhere", told], BODY),
  "no host": `POST /api/chat HTTP/1.1\r\n${told}\r\n\r\n${BODY}`,
  "HTTP 1.0": chat([told], BODY).replace("HTTP/1.1", "HTTP/1.0"),
  "HTTP 2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "a blank before the method": ` ${chat([told], BODY)}`,
  "a whole URL": chat([told], BODY).replace("/api", "http://elsewhere.example/api"),
  "CONNECT to elsewhere": "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
  "a path without its slash": chat([told], BODY).replace("/api", "api"),
  "a NUL in the path": chat([told], BODY).replace("/api/chat", "/api/chat\0"),
  "a hello of TLS": `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${"a".repeat(60)}`,
};

describe("where a body ends", () => {
  for (const [about, shape] of Object.entries(CLEAR)) {
    test(`${about}: served, and the next request too`, async (t) => {
      const seen: string[] = [];
      const { port } = await serveChats(t, seen);
      const { replies, nonsense } = await say({ port, pieces: [bytesOf(shape)], replies: 2 });
      assert.equal(nonsense, undefined);
      assert.deepEqual(seen, [BODY]);
      assert.deepEqual(
        replies.map(({ body }) => body),
        ["chatted", "canary"],
      );
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
  test("a length that is no number takes no room from others", async (t) => {
    const seen: string[] = [];
    const { port } = await serveChats(t, seen);
    for (const length of [`${LENGTH}, ${LENGTH}`, "NaN", "Infinity", "1e3", "-5"]) {
      await say({ port, pieces: [Buffer.from(chat([`Content-Length: ${length}`], BODY))], replies: 1 });
    }
    const next = await say({ port, pieces: [Buffer.from(chat([told], BODY))], replies: 1 });
    assert.equal(next.replies[0]?.status, 200);
  });
});

function bytesOf(shape: string): Buffer {
  return Buffer.from(shape + CANARY, "latin1");
}

const canary: Handler = (_request, reply) => reply.send(200, [], "canary");

async function serveChats(t: Parameters<typeof serve>[0], seen: string[]): ReturnType<typeof serve> {
  const post: Handler = (request, reply) => {
    seen.push(request.body.toString());
    reply.send(200, [], "chatted");
  };
  return serve(t, {
    bodies: {
      allowance: new Allowance(1_000_000, () => 0),
      noRoom: () => (_request, reply) => reply.send(503, [], "no room"),
    },
    routes: [
      { method: "POST", path: "/api/chat", handler: post },
      { method: "GET", path: "/canary", handler: canary },
    ],
  });
}
