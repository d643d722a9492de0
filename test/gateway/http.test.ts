import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, it, type TestContext } from "node:test";

import { Fault } from "../../src/core/fault.ts";
import type { Handler, HttpReply, HttpRequest, Route } from "../../src/gateway/http/http.ts";
import { freePort } from "../rig/free-port.ts";
import { echo, RawClient, serve, signal } from "./http-rig.ts";

function post(path: string, handler: Handler): Route {
  return { method: "POST", path, handler };
}

function get(path: string, handler: Handler): Route {
  return { method: "GET", path, handler };
}

const hash: Handler = ({ body }, reply) => {
  const sum = body.reduce((total, byte, at) => (total + byte * (at + 1)) % 1_000_003, 0);
  reply.send(200, [], `${body.length} ${sum}`);
};

function hashOf(body: Buffer): string {
  return `${body.length} ${body.reduce((total, byte, at) => (total + byte * (at + 1)) % 1_000_003, 0)}`;
}

function bytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => (at * 31 + (at >> 8)) & 255));
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** node:http as a client. */
function ask(
  port: number,
  options: http.RequestOptions,
  body?: (request: http.ClientRequest) => void,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, agent: false, ...options }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status, headers } = response;
        resolve({ status, headers, body: Buffer.concat(parts).toString() });
      });
    });
    request.on("error", reject);
    if (body === undefined) request.end();
    else body(request);
  });
}

async function refusal(t: TestContext, options: { host?: string; port?: number }): Promise<Fault> {
  const started = serve(t, options);
  const error = await started.then(
    () => assert.fail("listens"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof Fault);
  return error;
}

const twelve: Handler = (_request, reply) => reply.send(200, [["x-a", "1"]], "twelve bytes");

const threeParts: Handler = (_request, reply) => {
  reply.start(200, [["x-a", "1"]], Buffer.from("a"));
  reply.write(Buffer.from("b"));
  reply.end(Buffer.from("c"));
};

const evilHeader: Handler = (_request, reply) =>
  reply.send(200, [["x-a", "1\r\nset-cookie: x=1\r\n\r\nbody"]], "");

describe("requests", () => {
  it("gives method, path, query, headers and peer", async (t) => {
    const { port } = await serve(t, { routes: [get("/a/:name", echo)] });
    const headers = { "X-Request-Id": "r1", Authorization: "Bearer k", "X-Api-Key": "a", Origin: "http://o" };
    const { status, body, headers: got } = await ask(port, { path: "/a/b%20c?x=1&y=%20", headers });
    assert.equal(status, 200);
    assert.equal(got["server"], "stargazer");
    assert.equal(got["content-type"], "application/json");
    const seen = JSON.parse(body);
    assert.deepEqual(
      { ...seen, headers: undefined },
      {
        method: "GET",
        path: "/a/b%20c",
        query: "x=1&y=%20",
        remote: "127.0.0.1",
        bytes: 0,
        headers: undefined,
      },
    );
    assert.equal(seen.headers.requestId, "r1");
    assert.equal(seen.headers.authorization, "Bearer k");
    assert.equal(seen.headers.apiKey, "a");
    assert.equal(seen.headers.origin, "http://o");
    assert.equal(seen.headers.host, `127.0.0.1:${port}`);
    assert.equal(seen.headers.userAgent, "");
  });

  for (const length of [0, 1, 1000, 70_000, 1_000_000]) {
    it(`takes a body of ${length} bytes, by length and chunked`, async (t) => {
      const { port } = await serve(t, { routes: [post("/h", hash)] });
      const body = bytes(length);
      const plain = await ask(
        port,
        { method: "POST", path: "/h", headers: { "content-length": length } },
        (request) => request.end(body),
      );
      assert.deepEqual([plain.status, plain.body], [200, hashOf(body)]);
      const chunked = await ask(port, { method: "POST", path: "/h" }, (request) => {
        for (let at = 0; at < length; at += 9973) request.write(body.subarray(at, at + 9973));
        request.end();
      });
      assert.deepEqual([chunked.status, chunked.body], [200, hashOf(body)]);
    });
  }

  it("keeps bodies apart when many come at once", async (t) => {
    const waiting: (() => void)[] = [];
    const hold: Handler = (request, reply) => {
      waiting.push(() => hash(request, reply));
      if (waiting.length === 20) for (const answer of waiting) answer();
    };
    const { port } = await serve(t, { routes: [post("/h", hold)] });
    const bodies = Array.from({ length: 20 }, (_, i) => Buffer.alloc(100 + i * 5000, i + 1));
    const answers = await Promise.all(
      bodies.map((body) => ask(port, { method: "POST", path: "/h" }, (request) => request.end(body))),
    );
    assert.deepEqual(
      answers.map(({ body }) => body),
      bodies.map(hashOf),
    );
  });

  it("tells a client that waits for it to go on", async (t) => {
    const { port } = await serve(t, { routes: [post("/h", hash)] });
    const { body } = await ask(
      port,
      { method: "POST", path: "/h", headers: { expect: "100-continue", "content-length": 3 } },
      (request) => {
        request.flushHeaders();
        request.once("continue", () => request.end("abc"));
      },
    );
    assert.equal(body, hashOf(Buffer.from("abc")));
  });

  it("gives other methods and paths to the fallback, with their bodies", async (t) => {
    const { port } = await serve(t, { routes: [get("/h", hash)], fallback: echo });
    const other = await ask(port, { method: "PATCH", path: "/h" }, (request) => request.end("abc"));
    assert.deepEqual(
      { ...JSON.parse(other.body), headers: 0 },
      {
        method: "PATCH",
        path: "/h",
        query: "",
        remote: "127.0.0.1",
        bytes: 3,
        headers: 0,
      },
    );
    const head = await ask(port, { method: "HEAD", path: "/h" });
    assert.deepEqual([head.status, head.body], [200, ""]);
  });

  for (const [what, text, status] of [
    ["a length that is no number", "POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", "400"],
    [
      "a length and chunks",
      "POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      "400",
    ],
    ["no host", "GET /h HTTP/1.1\r\n\r\n", "400"],
    ["HTTP/1.2", "GET /h HTTP/1.2\r\nhost: a\r\n\r\n", "505"],
    ["a bad chunk", "POST /h HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "400"],
    ["too many header bytes", `GET /h HTTP/1.1\r\nhost: a\r\nbig: ${"x".repeat(90_000)}\r\n\r\n`, "431"],
  ] as const) {
    it(`refuses ${what} and goes on serving`, async (t) => {
      const { port } = await serve(t, { routes: [post("/h", hash)], fallback: echo });
      const client = new RawClient(t, port);
      client.send(text);
      assert.equal((await client.closes()).split(" ")[1], status);
      assert.equal((await ask(port, { path: "/" })).status, 200);
    });
  }
});

describe("bodies over the limit", () => {
  const big = Buffer.alloc(100_001, 7);

  it("are refused by their length before they come, and the connection goes on", async (t) => {
    const { port } = await serve(t, { maxBodyBytes: 100_000, routes: [post("/h", hash), get("/e", echo)] });
    const client = new RawClient(t, port);
    client.send(`POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: ${big.length}\r\n\r\n`);
    await client.receives(/ 413 [^]*too large$/u);
    client.send(big.toString("latin1"));
    client.send("GET /e HTTP/1.1\r\nhost: a\r\n\r\n");
    await client.receives('"path":"/e"');
  });

  it("are refused at once when far too long to be read, and the connection closes", async (t) => {
    const { port } = await serve(t, { maxBodyBytes: 100_000, routes: [post("/h", hash)] });
    const client = new RawClient(t, port);
    client.send(`POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\nabc`);
    const text = await client.closes();
    assert.match(text, / 413 [^]*connection: close[^]*too large$/iu);
  });

  it("are refused when chunks add up to more, once, and the connection closes", async (t) => {
    let refusals = 0;
    const tooLarge: Handler = (request, reply) => {
      refusals++;
      assert.equal(request.body.length, 0);
      reply.send(413, [], "too large");
    };
    const { port } = await serve(t, { maxBodyBytes: 100_000, tooLarge, routes: [post("/h", hash)] });
    const client = new RawClient(t, port);
    client.send("POST /h HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    for (let i = 0; i < 11; i++) client.send(`2710\r\n${"x".repeat(10_000)}\r\n`);
    assert.match(await client.closes(), / 413 [^]*too large$/u);
    assert.equal(refusals, 1);
  });

  it("with exactly the limit are taken", async (t) => {
    const { port } = await serve(t, { maxBodyBytes: big.length, routes: [post("/h", hash)] });
    const { body } = await ask(port, { method: "POST", path: "/h" }, (request) => request.end(big));
    assert.equal(body, hashOf(big));
  });
});

describe("replies", () => {
  it("answer HEAD with the headers of GET and no body", async (t) => {
    const { port } = await serve(t, {
      routes: [get("/h", twelve), { method: "HEAD", path: "/h", handler: twelve }],
    });
    const whole = await ask(port, { path: "/h" });
    const head = await ask(port, { path: "/h", method: "HEAD" });
    assert.equal(head.body, "");
    assert.deepEqual({ ...head.headers, date: 0 }, { ...whole.headers, date: 0 });
    assert.equal(head.headers["content-length"], "12");
  });

  it("in answer to HEAD, as a stream, are a head", async (t) => {
    const { port } = await serve(t, { routes: [{ method: "HEAD", path: "/h", handler: threeParts }] });
    const client = new RawClient(t, port);
    client.send("HEAD /h HTTP/1.1\r\nhost: a\r\n\r\nHEAD /h HTTP/1.1\r\nhost: a\r\n\r\n");
    assert.match(
      await client.receives(/(200 OK[^]*){2}\r\n\r\n$/u),
      /^(HTTP\/1.1 200 OK\r\n([a-z-]+: [^\r]*\r\n)+\r\n){2}$/iu,
    );
  });

  it("have no length and no body for 204 and 304, and keep an unknown status", async (t) => {
    const { port } = await serve(t, {
      fallback: ({ query }, reply) => reply.send(Number(query), [], query === "299" ? "odd" : ""),
    });
    for (const status of [204, 304]) {
      const { headers, ...rest } = await ask(port, { path: `/?${status}` });
      assert.deepEqual([rest.status, rest.body, headers["content-length"]], [status, "", undefined]);
    }
    assert.equal((await ask(port, { path: "/?299" })).status, 299);
  });

  it("never let a value break out of its header", async (t) => {
    const { port } = await serve(t, { fallback: evilHeader });
    const { headers } = await ask(port, { path: "/" });
    assert.equal(headers["x-a"], "1 set-cookie: x=1 body");
    assert.equal(headers["set-cookie"], undefined);
  });

  it("stream head and first bytes together, then the rest", async (t) => {
    let open: HttpReply | undefined;
    const { port } = await serve(t, {
      fallback: (_request, reply) => {
        open = reply;
        assert.equal(reply.start(200, [["content-type", "text/plain"]], Buffer.from("first")), true);
      },
    });
    const client = new RawClient(t, port);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(client.socket, "data");
    assert.match(client.text, /^HTTP\/1.1 200 OK\r\n[^]*transfer-encoding: chunked\r\n\r\n5\r\nfirst$/iu);
    assert.equal(open?.write(Buffer.from("second")), true);
    await client.receives("6\r\nsecond");
    open?.end(Buffer.from("last"));
    await client.receives(/4\r\nlast\r\n0\r\n\r\n$/u);
  });

  it("that were sent once are not sent again", async (t) => {
    const { port } = await serve(t, {
      fallback: (_request, reply) => {
        reply.send(200, [], "one");
        reply.send(500, [], "two");
        assert.equal(reply.start(500, [], Buffer.from("two")), false);
        assert.equal(reply.write(Buffer.from("two")), false);
        reply.end();
        reply.destroy();
        assert.equal(reply.isGone, false);
      },
    });
    const { status, body } = await ask(port, { path: "/" });
    assert.deepEqual([status, body], [200, "one"]);
  });

  it("are broken by destroy, without an abort", async (t) => {
    let aborts = 0;
    const { port } = await serve(t, {
      fallback: (_request, reply) => {
        reply.onGone(() => aborts++);
        reply.start(200, [], Buffer.from("first"));
        setImmediate(() => reply.destroy());
      },
    });
    await assert.rejects(ask(port, { path: "/" }), { code: "ECONNRESET" });
    assert.equal(aborts, 0);
  });

  for (const when of ["waiting", "streaming"] as const) {
    it(`tell, once, that the client went away while ${when}; then do nothing`, async (t) => {
      const aborted = signal();
      const came = signal();
      let open: HttpReply | undefined;
      const { port } = await serve(t, {
        routes: [post("/h", echo)],
        fallback: (request, reply) => {
          open = reply;
          reply.onGone(() => {
            assert.equal(request.remote, "");
            aborted.fire();
          });
          if (when === "streaming") reply.start(200, [], Buffer.from("first"));
          came.fire();
        },
      });
      const client = new RawClient(t, port);
      client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc");
      await came.fired;
      client.socket.destroy();
      await aborted.fired;
      assert.ok(open?.isGone);
      open.send(200, [], "late");
      assert.equal(open.start(200, [], Buffer.from("late")), false);
      assert.equal(open.write(Buffer.from("late")), false);
      open.end(Buffer.from("late"));
      open.destroy();
      assert.equal(aborted.count(), 1);
      assert.equal((await ask(port, { path: "/h", method: "POST" })).status, 200);
    });
  }

  it("never reach a handler when the client leaves within its body", async (t) => {
    const { port } = await serve(t, { routes: [post("/h", () => assert.fail("handled"))], fallback: echo });
    const client = new RawClient(t, port);
    client.send("POST /h HTTP/1.1\r\nhost: a\r\ncontent-length: 30\r\nexpect: 100-continue\r\n\r\nabc");
    await client.receives("100 Continue");
    client.socket.destroy();
    await client.closes();
    assert.equal((await ask(port, { path: "/" })).status, 200);
  });
});

describe("connections", () => {
  it("are used again", async (t) => {
    const { port } = await serve(t, { routes: [post("/h", hash)] });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const ports = new Set<number | undefined>();
    for (let i = 0; i < 5; i++) {
      await ask(port, { method: "POST", path: "/h", agent }, (request) => {
        request.once("socket", (socket) => socket.once("connect", () => ports.add(socket.localPort)));
        request.end("abc");
      });
    }
    assert.equal(ports.size, 1);
  });

  it("take pipelined requests that are answered at once", async (t) => {
    const { port } = await serve(t, { fallback: ({ path }, reply) => reply.send(200, [], path) });
    const client = new RawClient(t, port);
    client.send(["/1", "/2", "/3"].map((path) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`).join(""));
    await client.receives(/\/1HTTP[^]*\/2HTTP[^]*\/3$/u);
  });

  it("survive, or end with an abort, a request pipelined behind an open one", async (t) => {
    const aborted = signal();
    const { port } = await serve(t, {
      routes: [get("/e", echo)],
      fallback: (_request, reply) => reply.onGone(aborted.fire),
    });
    const client = new RawClient(t, port);
    client.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n");
    await Promise.all([client.closes(), aborted.fired]);
    assert.equal((await ask(port, { path: "/e" })).status, 200);
  });
});

describe("listening", () => {
  it("says in a sentence that a port is taken", async (t) => {
    const { port } = await serve(t);
    const { message, cause } = await refusal(t, { port });
    assert.match(message, /^Cannot listen on 127\.0\.0\.1 port \d+: .*EADDRINUSE.*choose another\.$/u);
    assert.ok(cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE");
  });

  it("says why an address cannot be used", async (t) => {
    const { cause } = await refusal(t, { host: "192.0.2.1" });
    assert.ok(cause instanceof Error && "code" in cause && cause.code === "EADDRNOTAVAIL");
  });

  it("shares a port when asked to", async (t) => {
    const port = await freePort();
    await serve(t, { share: true, port });
    assert.equal((await serve(t, { share: true, port })).port, port);
    await refusal(t, { port });
  });

  it("stops, while open replies go on and close their connections", async (t) => {
    let open: HttpReply | undefined;
    const came = signal();
    const server = await serve(t, {
      fallback: (_request, reply) => {
        open = reply;
        came.fire();
      },
    });
    const answer = ask(server.port, { path: "/", agent: new http.Agent({ keepAlive: true }) });
    await came.fired;
    server.stopListening();
    await assert.rejects(ask(server.port, { path: "/" }), { code: "ECONNREFUSED" });
    open?.send(200, [], "bye");
    const { body, headers } = await answer;
    assert.deepEqual([body, headers.connection], ["bye", "close"]);
  });

  it("closes with every connection, and open replies see an abort", async (t) => {
    const came = signal();
    const aborted = signal();
    const port = await freePort();
    const server = await serve(t, {
      port,
      fallback: (_request, reply) => {
        reply.onGone(aborted.fire);
        came.fire();
      },
    });
    const answer = assert.rejects(ask(server.port, { path: "/" }), { code: "ECONNRESET" });
    await came.fired;
    server.close();
    await Promise.all([answer, aborted.fired]);
    server.close();
    await serve(t, { port });
  });
});

it("the first value of a repeated header counts, also when it is empty", async (t) => {
  const { port } = await serve(t, { routes: [get("/echo", echo)] });
  const client = new RawClient(t, port);
  const twice = "X-Request-Id:\r\nX-Request-Id: b\r\nAccept: c\r\nAccept: d\r\n";
  client.send(`GET /echo HTTP/1.1\r\nHost: a\r\n${twice}\r\n`);
  while (!client.text.includes("}}")) await client.hears();
  const { headers } = JSON.parse(client.text.slice(client.text.indexOf("{"))) as {
    headers: HttpRequest["headers"];
  };
  assert.deepEqual([headers.host, headers.requestId, headers.accept, headers.apiKey], ["a", "", "c", ""]);
});
