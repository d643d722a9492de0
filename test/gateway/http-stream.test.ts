/**
 * Every byte of a stream reaches a slow reader, in valid chunks, on the very binary that is loaded. uWebSockets.js once
 * broke the framing when writes went on in a full socket. This test guards against it.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it, type TestContext } from "node:test";

import type { Handler, HttpReply } from "../../src/gateway/http/http.ts";
import { RawClient, serve, signal } from "./http-rig.ts";

/** More than the kernel's two socket buffers hold (about 4 MB at their largest). */
const TOTAL = 12_000_000;
const BYTES = Buffer.from(
  Uint8Array.from({ length: TOTAL }, (_, at) => at * 31 + (at >> 8) * 7 + (at >> 16) * 13),
);

/** Streams all bytes in pieces of `size`, never writing between a full socket and its drain. */
class Source {
  fulls = 0;
  readonly wasFull = signal();
  readonly #size: number;
  #at = 0;

  constructor(size: number) {
    this.#size = size;
  }

  readonly handler: Handler = (_request, reply) => {
    reply.onDrain(() => this.#pour(reply));
    if (reply.start(200, [], this.#next())) this.#pour(reply);
  };

  #next(): Buffer {
    return BYTES.subarray(this.#at, (this.#at += this.#size));
  }

  #pour(reply: HttpReply): void {
    while (this.#at + this.#size < TOTAL) {
      if (!reply.write(this.#next())) {
        this.fulls++;
        this.wasFull.fire();
        return;
      }
    }
    reply.end(this.#next());
  }
}

/** Paces a client: called with the bytes of each read, it may delay the next by a promise. */
type Pace = (received: number) => Promise<void> | undefined;

/** Reads until the end of the stream and gives all bytes received. */
async function read(
  t: TestContext,
  port: number,
  options: { readonly piece: number; readonly pace: Pace },
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let received = 0;
  const ended = signal();
  const socket = net.connect({
    host: "127.0.0.1",
    port,
    onread: {
      buffer: Buffer.alloc(options.piece),
      callback: (length, buffer) => {
        const part = Buffer.from(buffer.subarray(0, length));
        parts.push(part);
        received += length;
        if (Buffer.concat(parts.slice(-2)).subarray(-5).equals(Buffer.from("0\r\n\r\n"))) ended.fire();
        const held = options.pace(received);
        void held?.then(() => socket.resume());
        return held === undefined;
      },
    },
  });
  t.after(() => socket.destroy());
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await Promise.race([ended.fired, once(socket, "close")]);
  return Buffer.concat(parts, received);
}

/** Strictly decodes a chunked reply into its chunks; fails on any byte that does not belong. */
function chunksOf(reply: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  let at = reply.indexOf("\r\n\r\n") + 4;
  assert.match(reply.toString("latin1", 0, at), /^HTTP\/1\.1 200 OK\r\n/u);
  for (;;) {
    const lineEnd = reply.indexOf("\r\n", at);
    const line = reply.toString("latin1", at, lineEnd);
    assert.match(line, /^[0-9a-f]{1,8}$/iu, `a chunk size at ${at}`);
    const end = lineEnd + 2 + Number.parseInt(line, 16);
    assert.equal(reply.toString("latin1", end, end + 2), "\r\n", `an end of chunk at ${end}`);
    if (end === lineEnd + 2) {
      assert.equal(end + 2, reply.length);
      return chunks;
    }
    chunks.push(reply.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Stops reading at the first byte and at each further 3 MB, until the socket has been full (again). */
function paused(source: Source): Pace {
  let next = 0;
  return (received) => {
    if (received < next) return undefined;
    next += 3_000_000;
    return next === 3_000_000 ? source.wasFull.fired : turn();
  };
}

/** Takes one small piece per turn of the event loop, from when the socket has been full. */
function trickling(source: Source): Pace {
  return () => source.wasFull.fired.then(turn);
}

/** Writes until the socket is full, then calls `then`. */
function filler(piece: Buffer, then: (reply: HttpReply) => void) {
  const full = signal();
  const written = { pieces: 1 };
  const handler: Handler = (_request, reply) => {
    let hasRoom = reply.start(200, [], piece);
    for (; hasRoom; written.pieces++) hasRoom = reply.write(piece);
    then(reply);
    full.fire();
  };
  return { handler, full: full.fired, written };
}

describe("a stream to a slow reader", () => {
  for (const size of [160, 1000, 4096, 16_000, 16_384, 20_000, 65_536]) {
    for (const [reader, piece, paceOf] of [
      ["is paused and resumed", 65_536, paused],
      ["trickles", 2048, trickling],
    ] as const) {
      it(`arrives whole in chunks of ${size} bytes when the reader ${reader}`, async (t) => {
        const source = new Source(size);
        const { port } = await serve(t, { fallback: source.handler });
        const reply = await read(t, port, { piece, pace: paceOf(source) });
        assert.ok(source.fulls > 0, "the socket was full");
        const chunks = chunksOf(reply);
        assert.ok(Buffer.concat(chunks).equals(BYTES), "every byte");
        assert.deepEqual(new Set(chunks.slice(0, -1).map((chunk) => chunk.length)), new Set([size]));
      });
    }
  }

  it("does not leave its tail in a full socket when nothing more is written", async (t) => {
    const { handler, full, written } = filler(Buffer.alloc(1000, "x"), () => {});
    const { port } = await serve(t, { fallback: handler });
    const client = new RawClient(t, port);
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await full;
    client.socket.resume();
    const received = (): number => client.text.split("x\r\n3e8\r\n").length;
    while (received() < written.pieces) await client.hears();
    await client.receives(/x{1000}$/u);
  });

  it("may be ended on a full socket, and the connection goes on", async (t) => {
    const { handler, full, written } = filler(Buffer.alloc(50_000, "x"), (reply) =>
      reply.end(Buffer.from("last")),
    );
    const { port } = await serve(t, {
      routes: [{ method: "GET", path: "/next", handler: (_request, reply) => reply.send(200, [], "next") }],
      fallback: handler,
    });
    const client = new RawClient(t, port);
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await full;
    client.socket.resume();
    await client.receives("last\r\n0\r\n\r\n");
    const whole = Buffer.from(client.text, "latin1");
    assert.equal(chunksOf(whole).length, written.pieces + 1);
    client.send("GET /next HTTP/1.1\r\nhost: a\r\n\r\n");
    await client.receives(/\r\n\r\nnext$/u);
  });
});

/** A client that does not read the answer, which its server has given out of hand. */
async function stalled(
  t: TestContext,
): Promise<{ server: Awaited<ReturnType<typeof serve>>; client: RawClient }> {
  const sent = signal();
  const fallback: Handler = (_request, reply) => {
    reply.send(200, [], BYTES);
    sent.fire();
  };
  const server = await serve(t, { fallback });
  const client = new RawClient(t, server.port);
  client.socket.pause();
  client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await sent.fired;
  return { server, client };
}

describe("a whole answer to a slow reader", () => {
  const text = BYTES.toString("latin1");

  it("arrives whole though its server is about to close", async (t) => {
    const { server, client } = await stalled(t);
    server.stopListening();
    client.socket.resume();
    await server.flushed(60_000);
    server.close();
    const reply = await client.closes();
    assert.ok(reply.endsWith(`\r\n\r\n${text}`), `${reply.length} bytes came`);
  });

  it("leaves its connection sound for the next one", async (t) => {
    const server = await serve(t, { fallback: (_request, reply) => reply.send(200, [], BYTES) });
    const client = new RawClient(t, server.port);
    for (let times = 1; times <= 2; times += 1) {
      client.text = "";
      client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
      while (client.text.length < TOTAL || !client.text.endsWith(text)) await client.hears();
    }
    await server.flushed(60_000);
  });

  it("is not waited for when its client leaves", async (t) => {
    const { server, client } = await stalled(t);
    client.socket.destroy();
    await server.flushed(2_147_483_647);
  });
});
