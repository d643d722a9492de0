import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  Backend,
  BackendKind,
  ManagementRequest,
  AttemptProgress,
  ReplySink,
} from "../../src/backends/backend.ts";
import { managementQueueKey } from "../../src/core/management-endpoint.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { ManagementBackend } from "../../src/worker/management-backend.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { aTask } from "../rig/task.ts";

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
  readonly management: ManagementBackend;
  readonly backends: readonly Managed[];
  /** Queues that are kept alive. */
  readonly kept: () => string[];
  readonly changed: string[];
}

function rig(): Rig {
  const backends = [
    new Managed("ollama@a", "ollama"),
    new Managed("vllm@b", "vllm"),
    new Managed("ollama@c", "ollama"),
  ];
  const connection = new FakeConnection();
  const keys = new Keys("test");
  const changed: string[] = [];
  const management = new ManagementBackend({
    stores: openStores(connection, keys),
    worker: "w1",
    allBackendSlots: backends.map((backend) => new BackendSlots(backend, 0)),
    healthMonitor: {
      checkAndAnnounce: async ({ backend }) => {
        await Promise.resolve();
        changed.push(backend.name);
      },
    },
  });
  const servers = backends.map(({ name }) => managementQueueKey("w1", name));
  const kept = (): string[] =>
    connection.arrived.flatMap((command) => {
      const [name, key = ""] = command.split(" ");
      const model = servers.find((one) => keys.queue(one) === key);
      return name === "PEXPIRE" && model !== undefined ? [model] : [];
    });
  return { management, backends, kept, changed };
}

function taskAt(endpoint: Endpoint, model = "tiny", body = "{}"): Task {
  return aTask({ endpoint, model, stream: false, deadline: 1, body: Buffer.from(body) });
}

class Sink implements ReplySink {
  text = "";
  readonly progress: AttemptProgress = NO_PROGRESS;

  head(status: number, contentType: string): void {
    this.text += `${status} ${contentType} `;
  }

  write(bytes: Buffer): void {
    this.text += bytes.toString();
  }
}

const { signal } = new AbortController();

describe("the backend for management requests", () => {
  it("has a queue for each Ollama server of its worker, and keeps them", async () => {
    const { management, kept } = rig();
    const { models } = await management.inspect();
    const keys = [managementQueueKey("w1", "ollama@a"), managementQueueKey("w1", "ollama@c")];
    assert.deepEqual(
      models.map(({ key }) => key),
      keys,
    );
    assert.deepEqual(kept(), keys);
  });

  it("passes a request on to its server, and the reply back", async () => {
    const { management, backends } = rig();
    const sink = new Sink();
    await management.run(taskAt("ollama-show"), "ollama@c", sink, signal);
    await management.run(taskAt("ollama-blob-look", "sha256:ab", ""), "ollama@c", new Sink(), signal);
    assert.deepEqual(backends[2]?.seen, ["POST /api/show {}", "HEAD /api/blobs/sha256:ab"]);
    assert.equal(sink.text, "201 text/x made");
    assert.deepEqual(backends[0]?.seen, []);
  });

  it("has the server looked at after what may change its models, also when that failed", async () => {
    const { management, backends, changed } = rig();
    await management.run(taskAt("ollama-show"), "ollama@a", new Sink(), signal);
    assert.deepEqual(changed, []);
    await management.run(taskAt("ollama-delete"), "ollama@a", new Sink(), signal);
    const [first] = backends;
    assert.ok(first);
    first.failure = new Fault("backend_lost", "broke off");
    await assert.rejects(management.run(taskAt("ollama-pull"), "ollama@a", new Sink(), signal), {
      code: "backend_lost",
    });
    assert.deepEqual(changed, ["ollama@a", "ollama@a"]);
  });

  it("hands nothing to another worker when its server cannot be reached", async () => {
    const { management, backends } = rig();
    const [first] = backends;
    assert.ok(first);
    first.failure = new Fault("backend_unreachable", "no answer");
    const run = management.run(taskAt("ollama-show"), "ollama@a", new Sink(), signal);
    await assert.rejects(run, { code: "backend_error", message: "no answer" });
  });

  it("does no tasks, and nothing for servers that cannot be managed", async () => {
    const { management } = rig();
    for (const [endpoint, server] of [
      ["ollama-chat", "ollama@a"],
      ["ollama-show", "vllm@b"],
      ["ollama-show", "ollama@nowhere"],
    ] as const) {
      await assert.rejects(management.run(taskAt(endpoint), server, new Sink(), signal), {
        code: "not_implemented",
      });
    }
  });
});
