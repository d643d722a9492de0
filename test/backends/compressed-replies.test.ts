import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, it, type TestContext } from "node:test";
import {
  brotliCompressSync,
  createGzip,
  deflateSync,
  type Gzip,
  gzipSync,
  zstdCompressSync,
} from "node:zlib";
import { HttpOrigin } from "../../src/backends/http.ts";
import { Fault } from "../../src/core/fault.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { LocalServer } from "../rig/local-server.ts";

type Serve = (request: IncomingMessage, response: ServerResponse) => void;

async function originOf(t: TestContext, serve: Serve): Promise<HttpOrigin> {
  const server = await LocalServer.forTest(t, serve);
  const http = new HttpOrigin({ origin: server.url, prefix: "", authorization: undefined });
  t.after(() => http.close());
  return http;
}

async function ask(
  http: HttpOrigin,
  onChunk: (text: string) => void = () => {},
  signal = new AbortController().signal,
): Promise<string> {
  let text = "";
  await http.post(
    { path: "/v1/chat/completions", body: "{}" },
    {
      signal,
      progress: NO_PROGRESS,
      trace: "",
      onHead: () => {},
      onChunk: (chunk) => {
        text += chunk.toString();
        onChunk(text);
      },
      readError: (status, body) => new Fault("backend_error", body.toString(), { http: status }),
    },
  );
  return text;
}

const TEXT = 'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'.repeat(50);

function packed(coding: string, bytes: Buffer, status = 200): Serve {
  return (_request, response) => {
    response.writeHead(status, { "content-encoding": coding }).end(bytes);
  };
}

describe("a reply that a proxy has compressed", () => {
  const bytes = Buffer.from(TEXT);
  const codings: readonly (readonly [string, Buffer])[] = [
    ["gzip", gzipSync(bytes)],
    ["X-GZIP", gzipSync(bytes)],
    ["deflate", deflateSync(bytes)],
    ["br", brotliCompressSync(bytes)],
    ["zstd", zstdCompressSync(bytes)],
    ["identity", bytes],
  ];

  for (const [coding, body] of codings) {
    it(`with ${coding} is unpacked`, async (t) => {
      const http = await originOf(t, packed(coding, body));
      assert.equal(await ask(http), TEXT);
      assert.equal((await http.get("/v1/models", new AbortController().signal)).body.toString(), TEXT);
    });
  }

  it("keeps the words of an error", async (t) => {
    const http = await originOf(t, packed("gzip", gzipSync('{"error":"too long"}'), 400));
    await assert.rejects(ask(http), { http: 400, message: /too long/ });
  });

  it("comes piece by piece", async (t) => {
    let packing: Gzip | undefined;
    const http = await originOf(t, (_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" });
      packing = createGzip();
      packing.pipe(response);
      packing.write("one ");
      packing.flush();
    });
    const seen: string[] = [];
    const text = await ask(http, (so) => {
      seen.push(so);
      if (so === "one ") packing?.end("two");
    });
    assert.deepEqual([seen[0], text], ["one ", "one two"]);
  });

  it("that is cut, damaged or packed in an unknown way is an error", async (t) => {
    const whole = gzipSync(bytes);
    const odd = [
      packed("gzip", whole.subarray(0, whole.length - 10)),
      packed("gzip", Buffer.from("no gzip at all")),
      packed("lzma", whole),
    ];
    for (const serve of odd) {
      const http = await originOf(t, serve);
      await assert.rejects(ask(http), (error) => error instanceof Fault && /compressed/.test(error.message));
    }
  });

  it("is given up when its reader throws, or the request is cancelled", async (t) => {
    const closed: Promise<unknown>[] = [];
    const http = await originOf(t, (_request, response) => {
      closed.push(new Promise((resolve) => response.on("close", resolve)));
      response.writeHead(200, { "content-encoding": "gzip" });
      const gzip = createGzip();
      gzip.pipe(response);
      gzip.write(TEXT);
      gzip.flush();
    });
    const enough = new Fault("invalid_request", "enough");
    const refuse = (): void => {
      throw enough;
    };
    await assert.rejects(ask(http, refuse), enough);
    const stop = new AbortController();
    await assert.rejects(
      ask(http, () => stop.abort(new Fault("cancelled", "gone")), stop.signal),
      { code: "cancelled" },
    );
    await Promise.all(closed);
  });

  it("without a byte is empty, whatever it says of itself", async (t) => {
    const http = await originOf(t, (request, response) => {
      const coding = request.url === "/brotli" ? "br" : "gzip";
      response.writeHead(request.url === "/busy" ? 429 : 200, { "content-encoding": coding }).end();
    });
    const statuses = ["/gzip", "/brotli", "/busy"].map(async (path) => {
      const { status, body } = await http.get(path, new AbortController().signal);
      return [status, body.length];
    });
    assert.deepEqual(await Promise.all(statuses), [
      [200, 0],
      [200, 0],
      [429, 0],
    ]);
  });

  it("that grows without end is taken no faster than it is unpacked", { timeout: 60_000 }, async (t) => {
    const MB = 1024 * 1024;
    const packedZeros = gzipSync(Buffer.alloc(16 * MB));
    const block = Buffer.concat(Array.from({ length: 64 }, () => packedZeros));
    let sent = 0;
    const http = await originOf(t, (_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" });
      for (let blocks = 0; blocks < 64; blocks += 1) response.write(block, () => (sent += block.length));
    });
    const stop = new AbortController();
    let came = 0;
    const asked = http.post(
      { path: "/", body: "{}" },
      {
        signal: stop.signal,
        progress: NO_PROGRESS,
        trace: "",
        onHead: () => {},
        onChunk: (chunk) => {
          came += chunk.length;
          if (came > 8 * MB) stop.abort(new Fault("cancelled", "enough"));
        },
        readError: () => new Fault("backend_error", "none"),
      },
    );
    await assert.rejects(asked, { code: "cancelled" });
    assert.ok(sent < 16 * MB, `${sent} packed bytes were taken for ${came} unpacked ones`);
  });
});
