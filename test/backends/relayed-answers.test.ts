import assert from "node:assert/strict";
import { test } from "node:test";
import { HttpBackend } from "../../src/backends/http-backend.ts";
import type { Task } from "../../src/core/task.ts";
import { MAX_REPLY_BYTES } from "../../src/protocols/reply-limits.ts";
import { type Answer, SurfaceServer } from "../rig/backends/surface-server.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { aTask } from "../rig/task.ts";

/** A whole event. */
const PIECE = Buffer.from(`data: {"text":"${"x".repeat(4 * 1024 * 1024)}"}\n\n`);
/** More than can lie in sockets beside the bound. */
const MOST_WRITTEN = MAX_REPLY_BYTES + 64 * 1024 * 1024;

/** Writes until its client leaves, or takes more than it should. @param onOver told how many bytes */
function endless(type: string, onOver: (bytes: number) => void): Answer {
  return ({ response }) => {
    let written = 0;
    const more = (): void => {
      written += PIECE.length;
      if (written > MOST_WRITTEN) response.end();
      else if (response.write(PIECE)) setImmediate(more);
      else response.once("drain", more);
    };
    response.on("close", () => onOver(written));
    response.writeHead(200, { "content-type": type });
    more();
  };
}

function taskOf(endpoint: "openai-transcriptions" | "openai-image-variations"): Task {
  const body = Buffer.from('--b\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n--b--');
  return aTask({
    endpoint,
    model: "a",
    stream: false,
    contentType: "multipart/form-data; boundary=b",
    body,
    modelAt: body.indexOf("a\r\n--b--"),
  });
}

for (const [endpoint, path, type] of [
  ["openai-transcriptions", "/v1/audio/transcriptions", "text/plain"],
  ["openai-transcriptions", "/v1/audio/transcriptions", "text/event-stream"],
  ["openai-image-variations", "/v1/images/variations", "image/png"],
] as const) {
  test(`a whole answer of ${type} without an end is given up at the bound (${endpoint})`, async () => {
    const over = Promise.withResolvers<number>();
    const server = await SurfaceServer.start({
      models: ["a"],
      paths: { [path]: endless(type, over.resolve) },
    });
    const target = { origin: server.url, prefix: "", authorization: undefined };
    const backend = new HttpBackend({ kind: "openai", target, slots: 1 });
    const { signal } = new AbortController();
    try {
      await backend.inspect(signal);
      const sink = { progress: NO_PROGRESS, head: (): void => {}, write: (): void => {} };
      await assert.rejects(backend.run(taskOf(endpoint), "a", sink, signal), {
        code: "invalid_request",
        message: /larger than 128 MiB/,
      });
      assert.ok((await over.promise) < MOST_WRITTEN, "it was read to its end");
    } finally {
      await backend.close();
      await server.stop();
    }
  });
}
