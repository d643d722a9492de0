import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Fault } from "../../src/core/fault.ts";
import type { KeyNames } from "../../src/core/access/key-names.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import type { TaskSummary } from "../../src/core/summary.ts";
import type { Task } from "../../src/core/task.ts";
import { systemAmbient } from "../../src/core/ambient.ts";
import { rerun } from "../../src/gateway/dead-letters/rerun.ts";
import type { HttpRequest } from "../../src/gateway/http/http.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { refusalLog } from "../../src/gateway/http/refusal-log.ts";
import { LiveFeed } from "../../src/gateway/monitor/live-feed.ts";
import type { Snapshot } from "../../src/gateway/monitor/live-feed.ts";
import { RequestLog, TaskLog } from "../../src/gateway/monitor/task-observers.ts";
import { TaskSpans } from "../../src/gateway/monitor/task-spans.ts";
import { TokenMeter } from "../../src/gateway/monitor/token-meter.ts";
import { ManagementRequests } from "../../src/gateway/models/management-requests.ts";
import { openInspection } from "../../src/redis/inspect/inspection.ts";
import { openLog } from "../../src/telemetry/log.ts";
import type { SpanPlan } from "../../src/telemetry/tracing.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { aTask } from "../rig/task.ts";
import { until } from "../rig/until.ts";
import { exchangeOf } from "./exchange-rig.ts";
import { FakeReply } from "./fake-reply.ts";

const NAMES = { keyName: "ann", tenant: "lab" };

const OUTCOME: Outcome = {
  status: 200,
  fault: undefined,
  end: undefined,
  goneIn: undefined,
  firstByteMs: 1,
  totalMs: 2,
  abandon: false,
};

const REJECTION = {
  task: "g.3",
  request: "r3",
  trace: "",
  endpoint: "openai-chat",
  model: "tiny",
  at: 1,
  fault: new Fault("rate_limited", "slow down"),
} as const;

function namesIn({ keyName, tenant }: KeyNames): readonly unknown[] {
  return [keyName, tenant];
}

function requestOf(apiKey: string): HttpRequest {
  const headers = { requestId: "r", authorization: "", apiKey };
  return { method: "POST", path: "/api/chat", headers } as unknown as HttpRequest;
}

describe("the names of a key", () => {
  it("stand in the log line and the summary of a request that ended and of one that was rejected", async () => {
    const lines: string[] = [];
    const kept: TaskSummary[] = [];
    const log = openLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
    const append = (summaries: readonly TaskSummary[]): Promise<void> => {
      kept.push(...summaries);
      return Promise.resolve();
    };
    const summaries = new TaskLog({ append });
    for (const observer of [new RequestLog(log), summaries]) {
      observer.ended(exchangeOf("g.1", NAMES).exchange, OUTCOME);
      observer.ended(exchangeOf("g.2").exchange, OUTCOME);
      observer.rejected({ ...REJECTION, ...NAMES });
      observer.rejected(REJECTION);
    }
    await summaries.flush();
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const both = [
      ["ann", "lab"],
      [undefined, undefined],
      ["ann", "lab"],
      [undefined, undefined],
    ];
    assert.deepEqual(told.map(namesIn), both);
    assert.deepEqual(kept.map(namesIn), both);
    assert.ok(!("keyName" in (told[1] ?? {})) && !JSON.stringify(kept[1]).includes("keyName"));
  });

  it("stand in the span of a request", () => {
    const plans: SpanPlan[] = [];
    const begin = (plan: SpanPlan) => {
      plans.push(plan);
      return { traceparent: "", end: () => {} };
    };
    const spans = new TaskSpans({ begin, stop: () => Promise.resolve() });
    spans.accepted(exchangeOf("g.1", NAMES).exchange);
    spans.accepted(exchangeOf("g.2").exchange);
    const [named, plain] = plans.map(({ attributes }) => attributes);
    assert.deepEqual([named?.["sgnet.key"], named?.["sgnet.tenant"]], ["ann", "lab"]);
    assert.ok(plain !== undefined && !("sgnet.key" in plain));
  });

  it("stand in the line of a request that the server refuses, but for one with a wrong key", () => {
    const lines: string[] = [];
    const log = openLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
    const keyring = new Keyring({ apiKeys: "first,second", adminKeys: "" });
    const onRefused = refusalLog({ log, metrics: { rejected: () => {} }, keyring });
    onRefused("request_too_large", requestOf("second"));
    onRefused("unauthorized", requestOf("a guess"), { wrongKeyOf: "192.0.2.1" });
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(told.map(namesIn), [
      ["env-2", "env"],
      [undefined, undefined],
    ]);
    assert.equal(told[1]?.["wrongKeyOf"], "192.0.2.1");
    assert.doesNotMatch(lines.join(""), /second|guess/);
  });

  it("go along with a dead letter that runs again, and with an order of an admin", () => {
    const sent: Task[] = [];
    const sender = {
      now: () => 1000,
      mono: () => 0,
      newTaskId: () => "g2.1",
      admit: () => {},
      watch: () => {},
      dropQueue: () => {},
      accept: (task: Task) => void sent.push(task),
    };
    const task = aTask(NAMES);
    rerun(sender, { model: "tiny", task, body: task.body });
    const orders = new ManagementRequests(sender);
    const order = { endpoint: "ollama-pull", model: "tiny", body: Buffer.from("{}") } as const;
    const server = { worker: "w1", backend: "b", models: [] };
    orders.send(server, { ...order, ...NAMES });
    orders.send(server, order);
    assert.deepEqual(sent.map(namesIn), [
      ["ann", "lab"],
      ["ann", "lab"],
      [undefined, undefined],
    ]);
    assert.ok(!("keyName" in (sent[2] ?? {})));
  });
});

describe("a live page", () => {
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(async () => {
    await rig.close();
  });

  function feedOf(mayWatch: (request: HttpRequest) => boolean): LiveFeed {
    return new LiveFeed({
      inspection: openInspection(rig.connection, rig.keys),
      gateway: { tag: "g1", version: "1.2.3" },
      meter: new TokenMeter(),
      memoryMs: 1000,
      ambient: systemAmbient,
      exchanges: () => [exchangeOf("g1.1", NAMES).exchange, exchangeOf("g1.2").exchange],
      unready: () => undefined,
      mayWatch,
    });
  }

  it("names the key of each request in flight", async () => {
    const live = feedOf(() => true);
    const reply = new FakeReply();
    live.watch({ path: "/ui/events", headers: { requestId: "" } } as HttpRequest, reply);
    const text = await until("a snapshot", () => /data: (.*)\n/.exec(reply.text)?.[1]);
    live.stop();
    const { oldest } = (JSON.parse(text) as Snapshot).requests;
    assert.deepEqual(new Set(oldest.map((row) => row.keyName)), new Set(["ann", undefined]));
    assert.equal(oldest.find((row) => row.keyName === "ann")?.tenant, "lab");
  });

  it("gets its end within a second once its key no longer works, and others go on", async () => {
    const revoked = new Set<string>();
    const live = feedOf(({ headers }) => !revoked.has(headers.apiKey));
    const watch = (apiKey: string): FakeReply => {
      const reply = new FakeReply();
      live.watch({ path: "/ui/events", headers: { requestId: "", apiKey } } as HttpRequest, reply);
      return reply;
    };
    const [leaver, stayer] = [watch("a"), watch("b")];
    await until(
      "snapshots",
      () => (leaver.text.includes("data: ") && stayer.text.includes("data: ")) || undefined,
    );
    revoked.add("a");
    await until("its end", () => leaver.state === "ended" || undefined);
    const seen = stayer.text.length;
    await until("more for the other", () => stayer.text.length > seen || undefined);
    assert.ok(stayer.state === "streaming");
    live.stop();
  });
});
