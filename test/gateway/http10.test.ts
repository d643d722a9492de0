import assert from "node:assert/strict";
import net from "node:net";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { promisify } from "node:util";

import type { Handler, HttpReply, Route } from "../../src/gateway/http/http.ts";
import { PendingWrites } from "../../src/gateway/http/pending-writes.ts";
import { echo, RawClient, serve, signal, uws } from "./http-rig.ts";

const skip = uws.http10 ? false : "HTTP/1.0 is taken where the binary is adapted";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly bytes: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Reads from a whole answer what the handler saw. */
function seen(answer: string): Seen {
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(head, /connection: close/i);
  assert.equal(/content-length: (\d+)/i.exec(head)?.[1], String(body.length));
  return JSON.parse(body) as Seen;
}

async function asked(t: TestContext, port: number, pieces: readonly string[]): Promise<string> {
  const client = new RawClient(t, port);
  client.socket.setNoDelay();
  for (const piece of pieces) {
    client.send(piece);
    await turn();
  }
  return client.closes();
}

const routes: readonly Route[] = [
  { method: "GET", path: "/readyz", handler: echo },
  { method: "HEAD", path: "/readyz", handler: echo },
  { method: "POST", path: "/api/chat", handler: echo },
];

const late: Handler = ({ path }, reply) => {
  reply.start(200, [["x-a", "1"]], Buffer.alloc(0));
  setImmediate(() => {
    setImmediate(() => {
      if (path === "/late") reply.write(Buffer.from("late"));
      reply.end();
    });
  });
};

const hostless: Handler = (_request, reply) => reply.send(400, [], "no host");

describe("HTTP/1.0", { skip }, () => {
  it("is answered whole, with a Host and without, and the connection closes", async (t) => {
    const { port } = await serve(t, { routes });
    const bare = seen(await asked(t, port, ["GET /readyz HTTP/1.0\r\n\r\n"]));
    assert.deepEqual([bare.method, bare.path, bare.query, bare.headers["host"]], ["GET", "/readyz", "", ""]);
    const named = seen(await asked(t, port, ["GET /readyz?a=b HTTP/1.0\r\nHost: x\r\nAccept: y\r\n\r\n"]));
    assert.deepEqual([named.query, named.headers["host"], named.headers["accept"]], ["a=b", "x", "y"]);
    const kept = await asked(t, port, ["GET /readyz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"]);
    assert.match(kept, /connection: close/i);
  });

  it("has HEAD and bodies", async (t) => {
    const { port } = await serve(t, { routes });
    const head = await asked(t, port, ["HEAD /readyz HTTP/1.0\r\n\r\n"]);
    assert.match(head, /^HTTP\/1\.1 200 [^]*content-length: \d+\r\n(?:[^]*\r\n)?\r\n$/i);
    const post = "POST /api/chat HTTP/1.0\r\nContent-Length: 5\r\n\r\n";
    assert.equal(seen(await asked(t, port, [`${post}hello`])).bytes, 5);
    assert.equal(seen(await asked(t, port, [post, "he", "llo"])).bytes, 5);
  });

  it("is understood however its head is cut", async (t) => {
    const { port } = await serve(t, { routes });
    for (const head of [
      "GET /readyz HTTP/1.0\r\n\r\n",
      "GET /readyz HTTP/1.0\r\nHost: x\r\nAccept: y\r\n\r\n",
    ]) {
      for (let at = 1; at < head.length; at++) {
        const { path } = seen(await asked(t, port, [head.slice(0, at), head.slice(at)]));
        assert.equal(path, "/readyz", String(at));
      }
      assert.equal(seen(await asked(t, port, head.split(""))).path, "/readyz");
    }
  });

  it("gets streams as they come, without chunks, to the end of the connection", async (t) => {
    const replies: HttpReply[] = [];
    const arrived = signal();
    const streaming: Handler = (_request, reply) => {
      replies.push(reply);
      reply.start(200, [["content-type", "text/event-stream"]], Buffer.from("data: 0\n\n"));
      arrived.fire();
    };
    const { port } = await serve(t, { fallback: streaming });
    const client = new RawClient(t, port);
    client.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}");
    await arrived.fired;
    const [reply] = replies;
    for (const token of ["1", "2", "3"]) {
      await client.receives(`data: ${Number(token) - 1}\n\n`);
      assert.equal(reply?.write(Buffer.from(`data: ${token}\n\n`)), true);
    }
    reply?.end(Buffer.from("data: [DONE]\n\n"));
    const answer = await client.closes();
    const [head = "", ...body] = answer.split("\r\n\r\n");
    assert.doesNotMatch(head, /transfer-encoding|content-length/i);
    assert.match(head, /connection: close/i);
    assert.equal(body.join(""), "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: [DONE]\n\n");
  });

  it("gets a stream whose first bytes come late, and one without any", async (t) => {
    const { port } = await serve(t, { fallback: late });
    assert.match(await asked(t, port, ["GET /late HTTP/1.0\r\n\r\n"]), /x-a: 1\r\n[^]*\r\n\r\nlate$/);
    assert.match(await asked(t, port, ["GET /none HTTP/1.0\r\n\r\n"]), /x-a: 1\r\n[^]*close[^]*\r\n$/);
  });

  it("gets long answers whole, through full sockets", async (t) => {
    const long = Buffer.alloc(5_000_000, "0123456789");
    const drained = signal();
    const pendingWrites = new PendingWrites(() => performance.now());
    const pouring: Handler = ({ path }, reply) => {
      if (path === "/whole") {
        reply.send(200, [], long);
        return;
      }
      reply.onDrain(() => {
        if (drained.count() === 0) reply.end(Buffer.from("end"));
        drained.fire();
      });
      reply.start(200, [], long);
    };
    const { port } = await serve(t, { fallback: pouring, pendingWrites });
    for (const [path, expected] of [
      ["/whole", long.toString()],
      ["/stream", `${long.toString()}end`],
    ] as const) {
      const socket = net.connect(port, "127.0.0.1").setEncoding("latin1").pause();
      t.after(() => socket.destroy());
      socket.write(`GET ${path} HTTP/1.0\r\n\r\n`);
      let text = "";
      for await (const part of socket) text += String(part);
      const at = text.indexOf("\r\n\r\n") + 4;
      assert.ok(text.slice(at) === expected, `${path}: ${text.length - at} of ${expected.length} bytes`);
    }
    await pendingWrites.none(1000);
    assert.equal(pendingWrites.bytes, 0);
  });

  it("tells a handler when its client leaves", async (t) => {
    const gone = signal();
    const waiting: Handler = (_request, reply) => {
      reply.onGone(gone.fire);
      reply.start(200, [], Buffer.from("first"));
    };
    const { port } = await serve(t, { fallback: waiting });
    const client = new RawClient(t, port);
    client.send("GET / HTTP/1.0\r\n\r\n");
    await client.receives("first");
    client.socket.destroy();
    await gone.fired;
    assert.equal(gone.count(), 1);
  });

  it("gets answers without a body, and the connection closes", { timeout: 5000 }, async (t) => {
    const { port } = await serve(t, {
      fallback: ({ path, method }, reply) => {
        if (method === "HEAD") reply.start(200, [], Buffer.alloc(0));
        else reply.send(Number(path.slice(1)), [], "");
      },
    });
    for (const [method, status] of [
      ["GET", 204],
      ["GET", 304],
      ["HEAD", 200],
    ] as const) {
      const answer = await asked(t, port, [`${method} /${status} HTTP/1.0\r\n\r\n`]);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [^]*connection: close[^]*\r\n\r\n$`, "i"));
      assert.doesNotMatch(answer, /content-length|transfer-encoding/i);
    }
  });

  it("gets a refusal when its body has come: a connection cut before loses the answer", async (t) => {
    const { port } = await serve(t, {
      routes,
      guard: ({ path }) =>
        path === "/api/chat" ? (_request, reply) => reply.send(401, [], "no key") : undefined,
      fallbackReads: () => false,
    });
    for (const [path, status] of [
      ["/api/chat", 401],
      ["/nothing", 404],
    ] as const) {
      // As many clients do, it reads when it has written all.
      const socket = net.connect(port, "127.0.0.1").setEncoding("latin1").pause();
      t.after(() => socket.destroy());
      const body = Buffer.alloc(5_000_000, "x");
      socket.write(`POST ${path} HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\nx`);
      for (let turns = 0; turns < 20; turns++) await turn();
      await promisify((done: (error?: Error | null) => void) => socket.write(body.subarray(1), done))();
      let text = "";
      for await (const part of socket) text += String(part);
      assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
    }
  });

  it("knows no chunks in requests", async (t) => {
    const { port } = await serve(t, { routes });
    const chunked = "POST /api/chat HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert.match(await asked(t, port, [chunked]), /^HTTP\/1\.1 400 /);
  });

  it("may follow HTTP/1.1 on a connection", async (t) => {
    const { port } = await serve(t, { routes });
    const client = new RawClient(t, port);
    client.send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.receives('"host":"a"');
    client.send("GET /readyz HTTP/1.0\r\n\r\n");
    assert.equal((await client.closes()).match(/HTTP\/1\.1 200/g)?.length, 2);
  });
});

describe("HTTP/1.1", () => {
  it("needs one Host", async (t) => {
    const { port } = await serve(t, { routes, hostless });
    for (const head of ["GET /readyz HTTP/1.1\r\n\r\n", "GET /readyz HTTP/1.1\r\nAccept: y\r\n\r\n"]) {
      for (const pieces of [[head], [head.slice(0, 20), head.slice(20)]]) {
        assert.match(await asked(t, port, pieces), /^HTTP\/1\.1 400 /, head);
      }
    }
    const two = "GET /readyz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    assert.match(await asked(t, port, [two]), /^HTTP\/1\.1 400 /);
    const post = "POST /api/chat HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
    assert.match(await asked(t, port, [post]), /^HTTP\/1\.1 400 /);
    const empty = new RawClient(t, port);
    empty.send("GET /readyz HTTP/1.1\r\nHost:\r\n\r\n");
    assert.match(await empty.receives(/"path":"\/readyz"/), /^HTTP\/1\.1 200 /);
  });

  it("keeps its connection, unless the client asks to close it", async (t) => {
    const { port } = await serve(t, { routes });
    const client = new RawClient(t, port);
    for (let count = 1; count < 4; count++) {
      client.send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.receives(new RegExp(`(?:"path":"/readyz"[^]*){${count}}`));
    }
    client.send("GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.equal((await client.closes()).match(/HTTP\/1\.1 200/g)?.length, 4);
  });
});

describe("a server that leaves", () => {
  it("still takes connections, and closes each after its answer, kept ones too", async (t) => {
    const server = await serve(t, { routes });
    const kept = new RawClient(t, server.port);
    kept.send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.doesNotMatch(await kept.receives('"path":"/readyz"'), /connection: close/i);
    server.leave();
    for (const client of [kept, new RawClient(t, server.port)]) {
      client.send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.match(await client.closes(), /200 OK[^]*connection: close/i);
    }
  });

  it("has the clients of streams close their connections, too", async (t) => {
    const server = await serve(t, { routes, fallback: late });
    const before = new RawClient(t, server.port);
    before.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.doesNotMatch(await before.receives("late\r\n0\r\n\r\n"), /connection: close/i);
    server.leave();
    const client = new RawClient(t, server.port);
    client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.match(
      await client.receives("late\r\n0\r\n\r\n"),
      /200 OK\r\n[^]*connection: close\r\n[^]*\r\n\r\n4/i,
    );
  });
});

describe("a request that is no HTTP/1", { skip }, () => {
  it("gets 505 with what is spoken", async (t) => {
    const { port } = await serve(t, { routes });
    for (const hello of [
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", // HTTP/2 without TLS
      "\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03", // TLS
      "GET /readyz HTTP/1.2\r\nHost: a\r\n\r\n",
      "GET /readyz HTTP/0.9\r\n\r\n",
      "GET /readyz HTTP/3\r\n\r\n",
      "GET http://a/readyz HTTP/1.1\r\nHost: a\r\n\r\n",
    ]) {
      assert.match(
        await asked(t, port, [hello]),
        /^HTTP\/1\.1 505 [^]*This port speaks only HTTP\/1\.1 or 1\.0\./,
      );
    }
  });
});
