import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PROFILES } from "../../src/backends/profiles.ts";
import { openTask } from "../../src/backends/answer.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { openBody } from "../../src/gateway/opened-body.ts";
import { TASK_ROUTES } from "../../src/protocols/catalogue.ts";
import { surfaceOf } from "../../src/protocols/openai/surface.ts";
import { surfaceWay } from "../../src/protocols/openai/surface-way.ts";
import { decodeTask, encodeTask } from "../../src/wire/task-codec.ts";
import { assertLinear } from "./growth.ts";
import { shapesOf } from "./growth-shapes.ts";

/**
 * The cost of a request, from its bytes to the request for a backend, grows no faster than it: each endpoint of
 * the table of routes, each place of its body. A new endpoint is in by itself; its body is in bodies.ts.
 */

const FACES = [PROFILES.ollama.face, PROFILES.openai.face, PROFILES.llamacpp.face];

/** Bytes of the largest input: a square of it in ns is 4 s. */
const BYTES = 60 * 1024;

function taskOf(endpoint: Endpoint, body: Buffer): Task {
  const { model, stream, bytes } = openBody({ endpoint, contentType: "" }, body);
  const times = { createdAt: 0, deadline: 1000 };
  const task = { id: "g.1", endpoint, model, stream, ...times, requestId: "r", trace: "", body: bytes };
  const sent = decodeTask(encodeTask(task, true));
  return { ...sent, body: sent.body ?? bytes };
}

/** Refusals are fine; anything else that is thrown is not. */
function orFault(work: () => void): void {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof Fault, error instanceof Error ? error.stack : String(error));
    assert.notEqual(error.code, "internal", error.message);
  }
}

function carry(endpoint: Endpoint, body: Buffer): void {
  orFault(() => {
    const task = taskOf(endpoint, body);
    const row = surfaceOf(endpoint);
    if (row !== undefined) {
      const way = surfaceWay(row, new Set(row.paths.map(({ path }) => path)));
      const options = { body: task.body, stream: task.stream, asked: task.model, model: "other" };
      orFault(() => void way.request(options));
      orFault(() => void way.relay(options));
      return;
    }
    for (const face of FACES) {
      orFault(() => {
        const way = face.passthrough(endpoint);
        if (way === undefined || way.carries?.(task.body) === false) return;
        way.request({ body: task.body, stream: task.stream, asked: task.model, model: "other" });
      });
      orFault(() => void face.encode(openTask(task).request, { model: "other", stream: task.stream }));
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
