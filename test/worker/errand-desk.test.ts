import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  Backend,
  BackendKind,
  ManagementRequest,
  Pulse,
  ReplySink,
} from "../../src/backends/backend.ts";
import { errandKey } from "../../src/core/errand.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { ErrandDesk } from "../../src/worker/errand-desk.ts";
import { Station } from "../../src/worker/station.ts";
import { STILL_PULSE } from "../still-pulse.ts";

/** A backend that writes down what it is to manage. */
class Managed implements Backend {
  readonly url: string = "";
  readonly seen: string[] = [];
  readonly name: string;
  readonly kind: BackendKind;
  failure: Fault | undefined;

  constructor(name: string, kind: BackendKind) {
    this.name = name;
    this.kind = kind;
  }

  inspect(): ReturnType<Backend["inspect"]> {
    return Promise.resolve({ models: [], slots: undefined });
  }

  run(): ReturnType<Backend["run"]> {
    return Promise.reject(new Error("no task was to be run"));
  }

  manage({ method, path, body, sink }: ManagementRequest): Promise<void> {
    this.seen.push(`${method} ${path} ${body.toString()}`.trim());
    if (this.failure !== undefined) return Promise.reject(this.failure);
    sink.head(201, "text/x");
    sink.write(Buffer.from("made"));
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Rig {
  readonly desk: ErrandDesk;
  readonly backends: readonly Managed[];
  readonly kept: string[];
  readonly changed: string[];
}

function rig(): Rig {
  const backends = [
    new Managed("ollama@a", "ollama"),
    new Managed("vllm@b", "vllm"),
    new Managed("ollama@c", "ollama"),
  ];
  const kept: string[] = [];
  const changed: string[] = [];
  const desk = new ErrandDesk({
    worker: "w1",
    stations: backends.map((backend) => new Station(backend, 0)),
    keep: (keys) => {
      kept.push(...keys);
      return Promise.resolve();
    },
    onChanged: async ({ backend }) => {
      await Promise.resolve();
      changed.push(backend.name);
    },
  });
  return { desk, backends, kept, changed };
}

function taskAt(endpoint: Endpoint, model = "tiny", body = "{}"): Task {
  const times = { createdAt: 0, deadline: 1 };
  return {
    id: "g.1",
    endpoint,
    model,
    stream: false,
    ...times,
    requestId: "",
    trace: "",
    body: Buffer.from(body),
  };
}

class Sink implements ReplySink {
  told = "";
  readonly pulse: Pulse = STILL_PULSE;

  head(status: number, contentType: string): void {
    this.told += `${status} ${contentType} `;
  }

  write(bytes: Buffer): void {
    this.told += bytes.toString();
  }
}

const { signal } = new AbortController();

describe("the desk for errands", () => {
  it("has a queue for each Ollama server of its worker, and keeps them", async () => {
    const { desk, kept } = rig();
    const { models } = await desk.inspect();
    const keys = [errandKey("w1", "ollama@a"), errandKey("w1", "ollama@c")];
    assert.deepEqual(
      models.map(({ key }) => key),
      keys,
    );
    assert.deepEqual(kept, keys);
  });

  it("passes an errand on to the server it is for, and its reply back", async () => {
    const { desk, backends } = rig();
    const sink = new Sink();
    await desk.run(taskAt("ollama-show"), "ollama@c", sink, signal);
    await desk.run(taskAt("ollama-blob-look", "sha256:ab", ""), "ollama@c", new Sink(), signal);
    assert.deepEqual(backends[2]?.seen, ["POST /api/show {}", "HEAD /api/blobs/sha256:ab"]);
    assert.equal(sink.told, "201 text/x made");
    assert.deepEqual(backends[0]?.seen, []);
  });

  it("has the server looked at after what may change its models, also when that failed", async () => {
    const { desk, backends, changed } = rig();
    await desk.run(taskAt("ollama-show"), "ollama@a", new Sink(), signal);
    assert.deepEqual(changed, []);
    await desk.run(taskAt("ollama-delete"), "ollama@a", new Sink(), signal);
    const [first] = backends;
    assert.ok(first);
    first.failure = new Fault("backend_lost", "broke off");
    await assert.rejects(desk.run(taskAt("ollama-pull"), "ollama@a", new Sink(), signal), {
      code: "backend_lost",
    });
    assert.deepEqual(changed, ["ollama@a", "ollama@a"]);
  });

  it("hands nothing to another worker when its server cannot be reached", async () => {
    const { desk, backends } = rig();
    const [first] = backends;
    assert.ok(first);
    first.failure = new Fault("backend_unreachable", "no answer");
    const run = desk.run(taskAt("ollama-show"), "ollama@a", new Sink(), signal);
    await assert.rejects(run, { code: "backend_error", message: "no answer" });
  });

  it("does no tasks, and nothing for servers that cannot be managed", async () => {
    const { desk } = rig();
    for (const [endpoint, server] of [
      ["ollama-chat", "ollama@a"],
      ["ollama-show", "vllm@b"],
      ["ollama-show", "ollama@nowhere"],
    ] as const) {
      await assert.rejects(desk.run(taskAt(endpoint), server, new Sink(), signal), {
        code: "not_implemented",
      });
    }
  });
});
