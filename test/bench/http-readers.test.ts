import assert from "node:assert/strict";
import test from "node:test";
import { array, assert as check, integer, property } from "fast-check";
import { RequestReader } from "../../bench/request-reader.ts";
import type { SimRequest } from "../../bench/request-reader.ts";
import { ResponseReader } from "../../bench/response-reader.ts";

const SIZES = array(integer({ min: 1, max: 30 }));

/** The bytes of a text in pieces of the given sizes, the rest in one. */
function cut(text: string, sizes: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    if (at < bytes.length) pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

function readResponses(pieces: readonly Buffer[]): string[] {
  const seen: string[] = [];
  let body = "";
  const reader = new ResponseReader({
    onHead: (status) => seen.push(String(status)),
    onBody: (bytes, start, end) => {
      body += Buffer.from(bytes.slice(start, end)).toString();
    },
    onEnd: () => {
      seen.push(body);
      body = "";
    },
  });
  for (const piece of pieces) reader.feed(piece, piece.length);
  assert.equal(reader.midway, false);
  return seen;
}

test("responses of either framing come out whole, wherever the bytes are cut", () => {
  const wire =
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello" +
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: x\r\n\r\n5\r\nabcde\r\n1a;ext=1\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\n\r\n" +
    "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
  check(
    property(SIZES, (sizes) => {
      const seen = readResponses(cut(wire, sizes));
      assert.deepEqual(seen, ["200", "hello", "200", "abcdeabcdefghijklmnopqrstuvwxyz", "503", ""]);
    }),
  );
});

test("what is no framed HTTP/1.1 response is refused", () => {
  for (const wire of [
    "HTTP/1.1 200 OK\r\n\r\n",
    "NONSENSE\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  ]) {
    assert.throws(() => readResponses([Buffer.from(wire)]), Error, wire);
  }
});

test("requests come out whole, wherever the bytes are cut", () => {
  const wire =
    'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n{"é":1GET /b HTTP/1.1\r\nHost: h\r\n\r\n';
  check(
    property(SIZES, (sizes) => {
      const reader = new RequestReader();
      const seen: SimRequest[] = [];
      for (const piece of cut(wire, sizes)) reader.feed(piece, (request) => seen.push(request));
      assert.deepEqual(seen, [
        { method: "POST", path: "/a", body: '{"é":1' },
        { method: "GET", path: "/b", body: "" },
      ]);
    }),
  );
});

test("a chunked request body is refused", () => {
  const bytes = Buffer.from("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  assert.throws(() => new RequestReader().feed(bytes, () => undefined), Error);
});
