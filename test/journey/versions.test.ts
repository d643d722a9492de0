import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Packr } from "msgpackr";
import type { Task } from "../../src/core/task.ts";
import { asArray, asEntries, asText } from "../../src/redis/connection/resp.ts";
import { openStores } from "../../src/redis/stores.ts";
import { decodeFrames, encodeFrame } from "../../src/wire/frame-codec.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { allDone, askAll, Asked, assertAnswered, WAYS } from "../rig/fleet/asked.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { aTask } from "../rig/task.ts";

/** The test plays processes of another version through what they leave in Redis. */

const packr = new Packr({ useRecords: false });

/** The record as a later version would write it. */
function ofVersion2(record: Buffer): Buffer {
  const [, ...rest] = packr.unpack(record) as unknown[];
  return packr.pack([2, ...rest, "what version 2 has more"]);
}

function newTask(endpoint: string): Task {
  return aTask({
    id: `g${randomBytes(6).toString("hex")}.1`,
    endpoint: endpoint as Task["endpoint"],
    model: MODEL,
    requestId: "of-another-version",
    body: Buffer.from(JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hello" }] })),
  });
}

/** Queues a task as a gateway does, which is alive, and returns the fault its worker ends it with. */
async function faultOf(fleet: Fleet, task: Task, record: Buffer): Promise<unknown> {
  const { probe, keys } = fleet;
  const tag = task.id.split(".")[0] ?? "";
  await probe.command("SET", keys.gateway(tag), "{}", "PX", "60000");
  await openStores(probe, keys).replies.open([{ id: task.id, life: 60_000 }]);
  await openStores(probe, keys).queue.add(MODEL, record);
  let fault: unknown;
  await until("an end", async () => {
    const news = await openStores(probe, keys).replies.read([{ task: task.id, attempt: 0, seq: 0 }], 10);
    const [last] = news.get(task.id) ?? [];
    fault = last?.type === "frame" ? decodeFrames(last.bytes)[0]?.end?.fault : undefined;
    return fault !== undefined;
  });
  await probe.command("UNLINK", keys.reply(task.id), keys.gateway(tag));
  return fault;
}

async function assertServed(fleet: Fleet): Promise<void> {
  const again = askAll(fleet.gateway, WAYS, { stream: true, tokens: 5 });
  await allDone(again);
  for (const one of again) assertAnswered(one);
}

journey("a worker ends what a newer gateway asks and it cannot read", {}, async (fleet) => {
  const { probe, keys } = fleet;
  const later = newTask("ollama-chat");
  const unread = await faultOf(fleet, later, ofVersion2(encodeTask(later, true)));
  assert.deepEqual(unread, {
    code: "internal",
    message: "a task could not be decoded: its version is 2, known is 1",
    http: 500,
  });
  const letters = asEntries(await probe.command("XRANGE", keys.dead(MODEL), "-", "+"));
  assert.equal(letters.length, 1);
  assert.match(fleet.post().worker.story, /"a queue entry is no task".*its version is 2/);
  const strange = newTask("openai-telepathy");
  const unknown = await faultOf(fleet, strange, encodeTask(strange, true));
  assert.deepEqual(unknown, {
    code: "not_implemented",
    message: "this worker does not know openai-telepathy",
    http: 501,
  });
  await assertServed(fleet);
});

journey("a worker takes no notice of control messages it does not know", {}, async (fleet) => {
  const { probe, keys } = fleet;
  const { worker, standIn } = fleet.post();
  standIn.behaviour.tokenMs = 20;
  const asked = new Asked(fleet.gateway, { way: "openai-chat", stream: true, tokens: 40 });
  await until("tokens", () => asked.tokens > 1);
  const id = /"worker":"(w\w+)"/.exec(worker.story)?.[1] ?? "";
  for (const message of [
    "",
    " ",
    "dance",
    "dance x",
    "cancel",
    "cancel ",
    "sweep",
    "sweep ",
    "\u0000\uFFFF",
    "x".repeat(100_000),
  ]) {
    for (const channel of [keys.controlAll(), keys.control(id)])
      await probe.command("PUBLISH", channel, message);
  }
  await probe.command("PUBLISH", keys.fleet(), "gateway something new");
  await asked.done;
  assertAnswered(asked);
});

/** Writes a reply in frames of version 2 as a worker. No other worker claims. */
async function answerInVersion2(fleet: Fleet): Promise<void> {
  const { probe, keys } = fleet;
  const claim = ["GROUP", "w", "w2", "BLOCK", "60000", "COUNT", "1", "STREAMS", keys.queue("later"), ">"];
  const [entry] = asEntries(asArray(asArray(await probe.command("XREADGROUP", ...claim))[0])[1]);
  const [, id] = packr.unpack(entry?.fields[1] ?? Buffer.alloc(0)) as [number, string];
  const frame = encodeFrame({
    task: id,
    attempt: 1_000_000,
    seq: 1,
    head: { status: 200, contentType: "text/event-stream", worker: "w2" },
    bytes: Buffer.from("data: {}\n\n"),
  });
  const record = ofVersion2(frame);
  await probe.command("XADD", keys.reply(id), "1000000-1", "f", record);
  await probe.command("PUBLISH", keys.channel(id.split(".")[0] ?? ""), record);
  await probe.command("XACK", keys.queue("later"), "w", entry?.id ?? "");
  await probe.command("XDEL", keys.queue("later"), entry?.id ?? "");
}

journey("a gateway ends a request whose frames it cannot read", {}, async (fleet) => {
  const { probe, keys } = fleet;
  await probe.command("ZADD", keys.models(), String(Date.now()), "later");
  await probe.command("XGROUP", "CREATE", keys.queue("later"), "w", "0", "MKSTREAM");
  await fleet.known();
  const asked = until("a model that is known", async () => {
    const response = await fetch(`${fleet.gateway.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "later", stream: true, messages: [{ role: "user", content: "hello" }] }),
    });
    const text = await response.text();
    if (response.status === 404) return false;
    assert.equal(response.status, 500, text);
    assert.match(text, /a reply frame could not be decoded: its version is 2, known is 1/);
    return true;
  });
  await answerInVersion2(fleet);
  await asked;
  assert.match(fleet.gateway.story, /"a message on the reply channel was dropped".*its version is 2/);
  await assertServed(fleet);
});

/** An announcement of a worker of another version, with more fields than are known here, and fewer. */
const STRANGERS: Readonly<Record<string, unknown>> = {
  w200000000000: { id: "w200000000000", backends: [{ name: "b", models: [{ key: "m1" }] }] },
  w200000000001: { id: "w200000000001", backends: [{ models: [{ name: 1 }, null, 7] }, null, 3], more: {} },
  w200000000002: { id: "w200000000002" },
  w200000000003: [1],
  w200000000004: "text",
  w200000000005: {
    id: "w200000000005",
    version: { major: 2 },
    host: 5,
    seenAt: "now",
    backends: [
      { name: {}, kind: "telepathic", slots: "many", models: [{ key: "m2", name: "m2", capabilities: 5 }] },
    ],
  },
  w200000000006: JSON.parse('{"id":"w200000000006","__proto__":{"x":1},"backends":[]}'),
};

journey("announcements of other versions do no harm", {}, async (fleet) => {
  const { probe, keys } = fleet;
  for (const [id, announcement] of Object.entries(STRANGERS)) {
    await probe.command("SET", keys.worker(id), JSON.stringify(announcement), "PX", "60000");
    await probe.command("ZADD", keys.workers(), "1", id);
    await probe.command(
      "SET",
      keys.workerMetrics(id),
      JSON.stringify([{ name: 5 }, announcement]),
      "PX",
      "60000",
    );
  }
  await probe.command("SET", keys.gateway("g2"), JSON.stringify({ tag: "g2", open: "many" }), "PX", "60000");
  await probe.command("ZADD", keys.gateways(), "1", "g2");
  await probe.command("XADD", keys.log(), "*", "s", JSON.stringify({ id: 5, version: 2 }));
  await probe.command("PUBLISH", keys.fleet(), "worker");
  await until("m1 at the gateway", async () => {
    return (await (await fetch(`${fleet.gateway.url}/v1/models`)).text()).includes("m1");
  });
  for (const path of ["/v1/models", "/api/tags", "/api/ps", "/metrics", "/metrics/fleet", "/v1/models/m1"]) {
    const response = await fetch(fleet.gateway.url + path);
    assert.equal(response.status, 200, `${path}: ${await response.text()}`);
  }
  await assertServed(fleet);
  await probe.command("DEL", ...Object.keys(STRANGERS).map((id) => keys.worker(id)));
  assert.doesNotMatch(fleet.story, /TypeError/);
  assert.equal(asText(await probe.command("PING")), "PONG");
});
