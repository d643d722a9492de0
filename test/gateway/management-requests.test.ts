import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  MANAGEMENT_ENDPOINTS,
  type ManagementEndpoint,
  managementQueueKey,
} from "../../src/core/management-endpoint.ts";
import type { BackendAnnouncement, WorkerAnnouncement } from "../../src/core/fleet.ts";
import type { ModelCard } from "../../src/core/model.ts";
import type { Task } from "../../src/core/task.ts";
import { ManagementRequests, leftOut, serversOf } from "../../src/gateway/models/management-requests.ts";
import type { HttpReply } from "../../src/gateway/http/http.ts";
import { ProgressReply } from "../../src/gateway/models/progress-reply.ts";
import { ShowCache } from "../../src/gateway/models/show-cache.ts";
import { FakeReply } from "./fake-reply.ts";

const CARD: ModelCard = {
  key: "tiny",
  name: "tiny:latest",
  modifiedAt: 0,
  size: 1,
  digest: "",
  format: "",
  family: "llama",
  parameterSize: "",
  quantization: "",
  contextLength: 8192,
  capabilities: ["completion"],
  ownedBy: "",
  resident: true,
};

function backend(options: Partial<BackendAnnouncement> = {}): BackendAnnouncement {
  const name = options.name ?? "ollama@127.0.0.1:11434";
  const url = `http://${name.split("@")[1]}`;
  return { name, kind: "ollama", url, slots: 1, busy: 0, healthy: true, models: [CARD], ...options };
}

function worker(id: string, options: Partial<WorkerAnnouncement> = {}): WorkerAnnouncement {
  const host = `host-of-${id}`;
  const times = { startedAt: 0, seenAt: 0 };
  return { id, version: "", host, pid: 1, ...times, draining: false, backends: [backend()], ...options };
}

describe("the servers of a fleet", () => {
  it("are its healthy Ollama backends whose workers stay", () => {
    const workers = [
      worker("w1", { backends: [backend(), backend({ name: "vllm@x:1", kind: "vllm" })] }),
      worker("w2", { draining: true }),
      worker("w3", { backends: [backend({ healthy: false, models: [] })] }),
    ];
    assert.deepEqual(
      serversOf(workers).map((server) => server.worker),
      ["w1"],
    );
  });

  it("that cannot be asked are told, each once, unless another worker of their machine is asked", () => {
    const down = backend({ healthy: false, models: [] });
    const workers = [
      worker("w1"),
      worker("w2", { draining: true }),
      worker("w3", { backends: [down, backend({ name: "vllm@x:1", kind: "vllm", healthy: false })] }),
      worker("w4", { host: "host-of-w1", draining: true }),
      worker("w5", { host: "host-of-w2", draining: true }),
    ];
    const name = "(ollama@127.0.0.1:11434)";
    assert.deepEqual(leftOut(workers), [
      `worker w5 ${name}: not asked, its worker drains`,
      `worker w3 ${name}: not asked, it is down`,
    ]);
    assert.deepEqual(leftOut([]), []);
  });

  it("count once when workers of one machine share one", () => {
    const shared = { host: "one" };
    const workers = [worker("w1", shared), worker("w2", shared), worker("w3", { host: "two" })];
    assert.deepEqual(
      serversOf(workers).map((server) => server.worker),
      ["w1", "w3"],
    );
  });
});

interface Accepted {
  readonly task: Task;
  readonly key: string;
  readonly reply: HttpReply;
}

/** Management requests whose tasks are kept for the test to answer. */
function rig(): {
  managementRequests: ManagementRequests;
  accepted: Accepted[];
  dropped: string[];
  pass: (ms: number) => void;
} {
  const accepted: Accepted[] = [];
  const dropped: string[] = [];
  let clock = 0;
  const managementRequests = new ManagementRequests({
    now: () => 1000,
    mono: () => clock,
    newTaskId: () => `g.${accepted.length}`,
    accept: (task, key, reply) => accepted.push({ task, key, reply }),
    dropQueue: (key) => dropped.push(key),
  });
  const pass = (ms: number): void => {
    clock += ms;
  };
  return { managementRequests, accepted, dropped, pass };
}

const SERVER = { worker: "w1", backend: "ollama@127.0.0.1:11434", models: [CARD] };
const JSON_HEAD = [["content-type", "application/json"]] as const;

describe("a management request", () => {
  it("is a task in the queue of its server, with the life of its kind", () => {
    for (const endpoint of Object.keys(MANAGEMENT_ENDPOINTS) as ManagementEndpoint[]) {
      const { managementRequests, accepted } = rig();
      managementRequests.send(SERVER, { endpoint, model: "tiny", body: Buffer.from("{}") });
      const [{ task, key } = assert.fail("nothing was accepted")] = accepted;
      assert.equal(key, managementQueueKey("w1", "ollama@127.0.0.1:11434"));
      assert.deepEqual([task.endpoint, task.stream], [endpoint, MANAGEMENT_ENDPOINTS[endpoint].stream]);
      assert.equal(task.deadline - task.createdAt, MANAGEMENT_ENDPOINTS[endpoint].lifeMs);
    }
  });

  it("is answered whole, or in pieces as they come", async () => {
    const { managementRequests, accepted } = rig();
    const order = { endpoint: "ollama-pull", model: "tiny", body: Buffer.from("{}") } as const;
    const whole = managementRequests.send(SERVER, order);
    accepted[0]?.reply.send(404, JSON_HEAD, '{"error":"no"}');
    const { status, contentType, body } = await whole.answer;
    assert.deepEqual([status, contentType, body.toString()], [404, "application/json", '{"error":"no"}']);
    let pieces = "";
    const streamed = managementRequests.send(SERVER, order, (bytes) => (pieces += bytes.toString()));
    accepted[1]?.reply.start(200, JSON_HEAD, Buffer.from("a"));
    accepted[1]?.reply.write(Buffer.from("b"));
    accepted[1]?.reply.end(Buffer.from("c"));
    assert.deepEqual([pieces, (await streamed.answer).body.length], ["abc", 0]);
  });

  it("that is cut is an error", async () => {
    const { managementRequests, accepted } = rig();
    const sent = managementRequests.send(SERVER, {
      endpoint: "ollama-show",
      model: "tiny",
      body: Buffer.from("{}"),
    });
    accepted[0]?.reply.start(200, JSON_HEAD, Buffer.from("{"));
    accepted[0]?.reply.destroy();
    const { status, body } = await sent.answer;
    assert.deepEqual([status, body.toString()], [502, '{"error":"the answer broke off"}']);
  });

  it("ends with its worker, whose queue goes too, and not with another", async () => {
    const { managementRequests, accepted, dropped, pass } = rig();
    const aborted: string[] = [];
    const send = (name: string): ReturnType<ManagementRequests["send"]> => {
      const order = { endpoint: "ollama-pull", model: "tiny", body: Buffer.from("{}") } as const;
      const sent = managementRequests.send({ ...SERVER, worker: name }, order);
      accepted.at(-1)?.reply.onGone(() => aborted.push(name));
      return sent;
    };
    const lost = send("w1");
    const kept = send("w2");
    managementRequests.checkWorkers([worker("w2")]);
    pass(6000);
    managementRequests.checkWorkers([worker("w2")]);
    const { status, body } = await lost.answer;
    assert.deepEqual([status, body.toString()], [502, '{"error":"the worker w1 was lost"}']);
    assert.deepEqual(aborted, ["w1"]);
    assert.deepEqual(dropped, [managementQueueKey("w1", SERVER.backend)]);
    kept.cancel();
    kept.cancel();
    assert.equal((await kept.answer).status, 499);
    assert.deepEqual(aborted, ["w1", "w2"]);
  });

  it("outlives the announcement of its worker, which expires while Redis is away", async () => {
    const { managementRequests, accepted, dropped, pass } = rig();
    const sent = managementRequests.send(SERVER, {
      endpoint: "ollama-pull",
      model: "tiny",
      body: Buffer.from("{}"),
    });
    managementRequests.checkWorkers([]);
    pass(3000);
    managementRequests.checkWorkers([worker("w1")]);
    pass(3000);
    managementRequests.checkWorkers([]);
    accepted[0]?.reply.send(200, JSON_HEAD, "{}");
    assert.equal((await sent.answer).status, 200);
    assert.deepEqual(dropped, []);
  });
});

interface View {
  readonly view: ShowCache;
  readonly asked: string[];
  readonly pass: (ms: number) => void;
}

/** @param statuses status of each answer, in turn; 200 when there are no more */
function openView(workers: readonly WorkerAnnouncement[], statuses: number[] = []): View {
  const asked: string[] = [];
  let clock = 0;
  const cards = workers.flatMap(({ backends }) => backends.flatMap(({ models }) => models));
  const catalogue = {
    workers,
    cards,
    find: (name: string) => (name === "tiny" || name === "remembered" ? name : undefined),
  };
  const managementRequests = {
    send: (server: { worker: string }, { body }: { body: Buffer }) => {
      asked.push(server.worker);
      const status = statuses.shift() ?? 200;
      return { answer: Promise.resolve({ status, contentType: "", body }), cancel: () => {} };
    },
  };
  const pass = (ms: number): void => {
    clock += ms;
  };
  return { view: new ShowCache({ catalogue, managementRequests, mono: () => clock }), asked, pass };
}

describe("the view of one model", () => {
  it("is asked once for equal questions, and again after half a minute", async () => {
    const { view, asked, pass } = openView([worker("w1")]);
    await Promise.all([view.answer("tiny", {}), view.answer("Tiny:latest", {}), view.answer("tiny", {})]);
    assert.equal(asked.length, 1);
    await view.answer("tiny", { verbose: true });
    assert.equal(asked.length, 2);
    pass(29_999);
    await view.answer("tiny", {});
    assert.equal(asked.length, 2);
    pass(1);
    await view.answer("tiny", {});
    assert.equal(asked.length, 3);
  });

  it("is asked of another server when the first fails; errors are not kept", async () => {
    const { view, asked } = openView([worker("w1"), worker("w2"), worker("w3")], [502, 504]);
    assert.equal((await view.answer("tiny", {})).status, 504);
    assert.deepEqual(asked, ["w1", "w2"]);
    assert.equal((await view.answer("tiny", {})).status, 200);
    const missing = openView([worker("w1"), worker("w2")], [404]);
    assert.equal((await missing.view.answer("tiny", {})).status, 404);
    assert.deepEqual(missing.asked, ["w1"]);
  });

  it("is made of the card where no server can tell", async () => {
    const { view, asked } = openView([worker("w1", { backends: [backend({ kind: "vllm" })] })]);
    const { status, body } = await view.answer("tiny", {});
    assert.equal(status, 200);
    assert.match(body.toString(), /"llama\.context_length":8192/);
    assert.deepEqual(asked, []);
  });

  it("is missing for unknown models, and for models that no worker serves now", async () => {
    const { view } = openView([]);
    await assert.rejects(view.answer("nope", {}), {
      code: "model_not_found",
      message: "model 'nope:latest' not found",
    });
    await assert.rejects(view.answer("remembered", {}), { code: "backend_busy" });
  });
});

function layer(completed: number): Buffer {
  return Buffer.from(`{"status":"pulling aa","digest":"sha256:aa","total":9,"completed":${completed}}\n`);
}

const IDS = [["x-request-id", "mine-1"]] as const;

describe("progress to a client that reads slowly", () => {
  it("leaves amounts out, keeps steps, and ends", () => {
    const reply = new FakeReply();
    const progress = new ProgressReply({ reply, ids: IDS, stream: true, names: ["a"] });
    progress.bytes(0, Buffer.from('{"status":"pulling manifest"}\n'));
    reply.full = true;
    progress.bytes(0, layer(1));
    progress.bytes(0, layer(2));
    progress.bytes(0, Buffer.from('{"status":"writing manifest"}\n'));
    progress.bytes(0, layer(3));
    assert.equal(reply.text.trim().split("\n").length, 2);
    reply.drain();
    progress.bytes(0, Buffer.from('{"status":"success"}\n'));
    progress.ended(0, { status: 200, contentType: "", body: Buffer.alloc(0) });
    const steps = reply.text
      .trim()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    assert.deepEqual(steps, [
      { status: "pulling manifest" },
      { status: "pulling aa", digest: "sha256:aa", total: 9, completed: 1 },
      { status: "writing manifest" },
      { status: "success" },
    ]);
    assert.equal(reply.state, "ended");
    assert.equal(reply.headers.get("x-request-id"), "mine-1");
  });

  it("has the request's id also when nothing was told before its end", () => {
    for (const [stream, status] of [
      [true, 200],
      [false, 200],
      [true, 500],
    ] as const) {
      const reply = new FakeReply();
      const progress = new ProgressReply({ reply, ids: IDS, stream, names: ["a"] });
      const body = Buffer.from(status === 200 ? '{"status":"success"}' : '{"error":"no"}');
      progress.ended(0, { status, contentType: "", body });
      assert.deepEqual([reply.status, reply.headers.get("x-request-id")], [status, "mine-1"]);
    }
  });

  it("ends a server that sends an endless line", () => {
    const reply = new FakeReply();
    const progress = new ProgressReply({ reply, ids: IDS, stream: true, names: ["a"] });
    const piece = Buffer.alloc(1024 * 1024, "x");
    for (let sent = 0; sent < 18; sent += 1) progress.bytes(0, piece);
    assert.equal(reply.status, 502);
    assert.match(reply.text, /"error"/);
  });

  it("tells once that such a server among others has failed, whatever else it sends", () => {
    const reply = new FakeReply();
    const progress = new ProgressReply({ reply, ids: IDS, stream: true, names: ["a", "b"] });
    const piece = Buffer.alloc(1024 * 1024, "x");
    for (let sent = 0; sent < 20; sent += 1) progress.bytes(0, piece);
    progress.ended(0, { status: 200, contentType: "", body: Buffer.alloc(0) });
    progress.bytes(1, Buffer.from('{"status":"success"}\n'));
    progress.ended(1, { status: 200, contentType: "", body: Buffer.alloc(0) });
    const lines = reply.text.trim().split("\n");
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? "", /^\{"status":"a: failed: /);
    assert.match(lines[1] ?? "", /^\{"error":"done on 1 of 2 servers \(b\), failed on a: /);
  });
});
