import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { HttpOrigin } from "../../src/backends/http.ts";
import { Fault, type FaultCode } from "../../src/core/fault.ts";
import { standInText, startStandIn, type StandIn, type StandInOptions } from "../rig/backends/stand-in.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { LocalServer } from "../rig/local-server.ts";

async function standInOf(t: TestContext, options: StandInOptions = {}): Promise<StandIn> {
  const standIn = await startStandIn(options);
  t.after(() => standIn.stop());
  return standIn;
}

function originOf(t: TestContext, url: string, authorization?: string): HttpOrigin {
  const http = new HttpOrigin({ origin: url, prefix: "", authorization });
  t.after(() => http.close());
  return http;
}

interface Seen {
  contentType: string;
  text: string;
}

function ask(
  http: HttpOrigin,
  options: {
    signal?: AbortSignal;
    body?: object;
    onChunk?: (chunk: Buffer) => void;
  } = {},
): { readonly seen: Seen; readonly done: Promise<number> } {
  const seen: Seen = { contentType: "", text: "" };
  const body = JSON.stringify({ model: "tiny", prompt: "hi", ...options.body });
  const done = http.post(
    { path: "/api/generate", body },
    {
      signal: options.signal ?? new AbortController().signal,
      progress: NO_PROGRESS,
      trace: "",
      onHead: (headers) => (seen.contentType = String(headers["content-type"])),
      onChunk: (chunk) => {
        seen.text += chunk.toString();
        options.onChunk?.(chunk);
      },
      readError: (status, bytes, retryAfter) => {
        const wait = retryAfter === undefined ? {} : { retryAfter };
        return new Fault("backend_busy", `${status} ${bytes.toString()}`, { http: status, ...wait });
      },
    },
  );
  return { seen, done };
}

function isFault(code: FaultCode): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code;
}

test("a reply is handed on as it comes, with the key and a JSON body", async (t) => {
  const standIn = await standInOf(t, { tokens: 3 });
  const { seen, done } = ask(originOf(t, standIn.url, "Bearer k"));
  await done;
  assert.equal(seen.contentType, "application/x-ndjson");
  const lines = seen.text.trimEnd().split("\n");
  const texts = lines.map((line) => (JSON.parse(line) as { response: string }).response);
  assert.equal(texts.join(""), standInText(3));
  const headers = standIn.requests[0]?.headers;
  assert.equal(headers?.authorization, "Bearer k");
  assert.equal(headers?.["content-type"], "application/json");
});

test("as many requests run at once as are asked for, each on its own connection", async (t) => {
  const standIn = await standInOf(t, { hangAfter: 1 });
  const http = originOf(t, standIn.url);
  const controller = new AbortController();
  const all = Array.from({ length: 50 }, () => ask(http, { signal: controller.signal }).done);
  await standIn.waitFor("token", 50);
  assert.equal(standIn.peak, 50);
  controller.abort();
  const settled = await Promise.allSettled(all);
  assert.ok(settled.every(({ status }) => status === "rejected"));
});

test("pieces of answers are counted, those of other replies are not", async (t) => {
  const standIn = await standInOf(t, { tokens: 3 });
  const http = originOf(t, standIn.url);
  await http.getJson("/api/tags", new AbortController().signal);
  assert.equal(http.pieces, 0);
  let heard = 0;
  const { done } = ask(http, { onChunk: () => (heard += 1) });
  await done;
  assert.ok(heard > 0);
  assert.equal(http.pieces, heard);
});

test("a port without a listener is backend_unreachable", async (t) => {
  const standIn = await startStandIn();
  const { url } = standIn;
  await standIn.stop();
  const http = originOf(t, url);
  await assert.rejects(ask(http).done, isFault("backend_unreachable"));
});

test("a connection that breaks before the head is backend_unreachable, after it backend_lost", async (t) => {
  const standIn = await standInOf(t, { dieAfter: 0 });
  const http = originOf(t, standIn.url);
  await assert.rejects(ask(http).done, isFault("backend_unreachable"));
  standIn.behaviour.dieAfter = 2;
  const { seen, done } = ask(http);
  await assert.rejects(done, isFault("backend_lost"));
  assert.match(seen.text, /t1 /);
});

test("a refusal carries status, body and Retry-After", async (t) => {
  const standIn = await standInOf(t, { refuse: { status: 503, message: "full", retryAfter: 7 } });
  const { seen, done } = ask(originOf(t, standIn.url));
  await assert.rejects(done, (error: Fault) => {
    assert.deepEqual([error.http, error.retryAfter], [503, 7]);
    assert.equal(error.message, '503 {"error":"full"}');
    return true;
  });
  assert.equal(seen.text, "");
});

test("an endless or broken error body is cut, its status kept", async (t) => {
  const server = await LocalServer.forTest(t, (request, response) => {
    response.writeHead(500);
    if (request.headers["x-end"] === undefined) response.write("x".repeat(3 * 1024 * 1024));
  });
  const http = originOf(t, server.url);
  await assert.rejects(ask(http).done, (error: Fault) => {
    assert.equal(error.http, 500);
    assert.ok(error.message.length <= 1024 * 1024 + 10);
    return true;
  });
});

test("an abort hangs up at once: in prefill, mid-stream and before the start", async (t) => {
  for (const hangAfter of [0, 2]) {
    const standIn = await standInOf(t, { hangAfter });
    const controller = new AbortController();
    const { done } = ask(originOf(t, standIn.url), { signal: controller.signal });
    await standIn.waitFor(hangAfter === 0 ? "request" : "token", hangAfter || 1);
    const hungUp = standIn.waitFor("aborted");
    // At once is without the help of any timer.
    t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    controller.abort(new Fault("deadline_exceeded", "too late"));
    await assert.rejects(done, isFault("deadline_exceeded"));
    await hungUp;
    t.mock.timers.reset();
  }
  const standIn = await standInOf(t);
  const { done } = ask(originOf(t, standIn.url), { signal: AbortSignal.abort() });
  await assert.rejects(done, isFault("cancelled"));
  assert.equal(standIn.requests.length, 0);
});

test("a request aborted while it connects never reaches the backend", async (t) => {
  const standIn = await standInOf(t);
  const http = originOf(t, standIn.url);
  const controller = new AbortController();
  const { done } = ask(http, { signal: controller.signal });
  controller.abort();
  await assert.rejects(done, isFault("cancelled"));
  await ask(http).done;
  assert.equal(standIn.requests.length, 1);
});

test("a receiver that throws ends the exchange with its fault and hangs up", async (t) => {
  const standIn = await standInOf(t, { hangAfter: 1 });
  const { done } = ask(originOf(t, standIn.url), {
    onChunk: () => {
      throw new Fault("backend_lost", "nonsense");
    },
  });
  await assert.rejects(done, isFault("backend_lost"));
  await standIn.waitFor("aborted");
});

test("closing rejects what is open and what comes later", async (t) => {
  const standIn = await standInOf(t, { hangAfter: 1 });
  const http = originOf(t, standIn.url);
  const first = Promise.withResolvers<void>();
  const { done } = ask(http, { onChunk: () => first.resolve() });
  const rejected = assert.rejects(done, isFault("backend_lost"));
  await first.promise;
  await http.close();
  await rejected;
  await assert.rejects(ask(http).done, isFault("backend_unreachable"));
  await http.close();
});

test("documents: JSON, statuses, and what is not JSON", async (t) => {
  const standIn = await standInOf(t, { documents: { "/busy": 503, "/broken": 500 } });
  const http = originOf(t, standIn.url);
  const { signal } = new AbortController();
  assert.deepEqual(await http.getJson("/api/version", signal), { version: "0.33.0" });
  await assert.rejects(http.getJson("/busy", signal), isFault("backend_busy"));
  await assert.rejects(http.getJson("/broken", signal), isFault("backend_error"));
  await assert.rejects(http.getJson("/", signal), isFault("backend_error"));
  const late = AbortSignal.abort(new DOMException("late", "TimeoutError"));
  await assert.rejects(http.getJson("/", late), isFault("backend_unreachable"));
});

test("a document is asked for once more when the server has hung up, and a task is not", async (t) => {
  const asked: string[] = [];
  let breaks = 0;
  const server = await LocalServer.forTest(t, (request, response) => {
    asked.push(request.method ?? "");
    breaks -= 1;
    if (breaks >= 0) request.socket.destroy();
    else response.end("{}");
  });
  const http = originOf(t, server.url);
  const { signal } = new AbortController();
  breaks = 1;
  assert.deepEqual(await http.getJson("/", signal), {});
  breaks = 2;
  await assert.rejects(http.getJson("/", signal), isFault("backend_unreachable"));
  breaks = 1;
  await assert.rejects(ask(http).done, isFault("backend_unreachable"));
  assert.deepEqual(asked, ["GET", "GET", "GET", "GET", "POST"]);
});
