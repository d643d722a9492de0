import { describe, it } from "node:test";
import { PROFILES } from "../../src/backends/profiles.ts";
import { parseTask } from "../../src/backends/answer.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { openBody } from "../../src/gateway/requests/body.ts";
import { TASK_ROUTES } from "../../src/protocols/dialects.ts";
import { surfaceOf } from "../../src/protocols/openai/surface.ts";
import { surfacePassthrough } from "../../src/protocols/openai/surface-passthrough.ts";
import { decodeTask, encodeTask } from "../../src/wire/task-codec.ts";
import { assertLinear } from "./growth.ts";
import { shapesOf } from "./growth-shapes.ts";
import { aTask } from "../rig/task.ts";
import { orFault } from "./or-fault.ts";

/**
 * The cost of a request, from its bytes to the request for a backend, grows no faster than it: each endpoint of
 * the table of routes, each place of its body. A new endpoint is in by itself; its body is in bodies.ts.
 */

const CODECS = [PROFILES.ollama.codec, PROFILES.openai.codec, PROFILES.llamacpp.codec];

/** Bytes of the largest input: a square of it in ns is 4 s. */
const BYTES = 60 * 1024;

function taskOf(endpoint: Endpoint, body: Buffer): Task {
  const { model, stream, bytes } = openBody({ endpoint, contentType: "" }, body);
  const task = aTask({ endpoint, model, stream, body: bytes });
  const sent = decodeTask(encodeTask(task, true));
  return { ...sent, body: sent.body ?? bytes };
}

function carry(endpoint: Endpoint, body: Buffer): void {
  orFault(() => {
    const task = taskOf(endpoint, body);
    const row = surfaceOf(endpoint);
    if (row !== undefined) {
      const way = surfacePassthrough(row, new Set(row.paths.map(({ path }) => path)));
      const options = { body: task.body, stream: task.stream, asked: task.model, model: "other" };
      orFault(() => void way.request(options));
      orFault(() => void way.relay(options));
      return;
    }
    for (const codec of CODECS) {
      orFault(() => {
        const way = codec.passthrough(endpoint);
        if (way === undefined || way.carries?.(task.body) === false) return;
        way.request({ body: task.body, stream: task.stream, asked: task.model, model: "other" });
      });
      orFault(() => void codec.encode(parseTask(task).request, { model: "other", stream: task.stream }));
    }
  });
}

describe("the work for a request grows no faster than its body", () => {
  for (const { path, endpoint } of TASK_ROUTES) {
    it(path, (t) => {
      let most = { micros: 0, name: "" };
      for (const { name, build, mostGrowth } of shapesOf(path)) {
        const micros = assertLinear({
          name: `${path}, ${name}`,
          bytes: BYTES,
          ...(mostGrowth === undefined ? {} : { mostGrowth }),
          prepare: (bytes) => {
            const body = build(bytes);
            return () => carry(endpoint, body);
          },
        });
        if (micros > most.micros) most = { micros, name };
      }
      t.diagnostic(`most: ${most.micros.toFixed(0)} µs per KiB for ${most.name}`);
    });
  }
});
