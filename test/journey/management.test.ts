import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Ollama } from "ollama";
import { asArray, asText } from "../../src/redis/connection/resp.ts";
import { OllamaManager } from "../rig/backends/ollama-manager.ts";
import { openStores } from "../../src/redis/stores.ts";
import { type Fleet, sharedFleet } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";

const ADMIN = { authorization: "Bearer root" };
const PLAN = { posts: [], env: { SGNET_ADMIN_KEY: "root" } } as const;
const managed = sharedFleet(PLAN);
const NOWHERE = "0".repeat(64);

interface Rig {
  readonly fleet: Fleet;
  readonly managers: readonly OllamaManager[];
  readonly workers: readonly Program[];
  readonly asks: (line: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** The JSON of the whole text, or of its last line. */
  readonly last: Record<string, unknown>;
}

/** A fleet with one worker per list of models, each beside an Ollama server of its own. */
async function withManagers(
  fleet: Fleet,
  models: readonly (readonly string[])[],
  run: (rig: Rig) => Promise<void>,
): Promise<void> {
  const managers = await Promise.all(models.map((names) => OllamaManager.start(names)));
  try {
    const workers: Program[] = [];
    for (const { url } of managers) {
      workers.push(await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${url}`, SGNET_SLOTS: "1" }));
    }
    for (const name of new Set(models.flat())) await fleet.known(name.replace(":latest", ""));
    await fleet.workers(managers.length);
    await run({
      fleet,
      managers,
      workers,
      asks: (line, body, headers) => ask(fleet, { line, body, headers }),
    });
  } finally {
    await Promise.all(managers.map((manager) => manager.stop()));
  }
}

async function ask(
  fleet: Fleet,
  request: { line: string; body: unknown; headers: Record<string, string> | undefined },
): Promise<Answer> {
  const { line, body, headers = {} } = request;
  const [method = "", path = ""] = line.split(" ");
  const sent = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
  const response = await fetch(fleet.gateway.url + path, { method, headers, ...sent });
  const text = await response.text();
  const lastLine = text.trimEnd().split("\n").at(-1) ?? "";
  const last = lastLine.startsWith("{") ? (JSON.parse(lastLine) as Record<string, unknown>) : {};
  return { status: response.status, type: response.headers.get("content-type") ?? "", text, last };
}

managed("the views of Ollama's API show the fleet as one server", async (fleet) => {
  await withManagers(fleet, [["tiny:latest", "one:7b"], ["tiny:latest"]], async ({ managers, asks }) => {
    const ps = await asks("GET /api/ps");
    const { models } = ps.last as { models: Record<string, unknown>[] };
    assert.deepEqual(models.map(({ name }) => String(name)).toSorted(), ["one:7b", "tiny:latest"]);
    assert.deepEqual(Object.keys(models[0] ?? {}), [
      "name",
      "model",
      "size",
      "digest",
      "details",
      "expires_at",
      "size_vram",
      "context_length",
    ]);
    assert.equal(models[0]?.["expires_at"], "2030-01-01T00:00:00.123Z");
    assert.deepEqual([models[0]?.["size"], models[0]?.["size_vram"]], [120, 60]);
    const head = await asks("HEAD /api/ps");
    assert.deepEqual([head.status, head.text], [200, ""]);

    const shown = await asks("POST /api/show", { name: "TINY" });
    assert.equal(shown.status, 200);
    assert.deepEqual(shown.last["asked"], { model: "tiny:latest", verbose: false });
    const again = await Promise.all(
      ["tiny", "tiny:latest", "library/tiny"].map((model) => asks("POST /api/show", { model })),
    );
    for (const one of again) assert.equal(one.text, shown.text);
    await asks("POST /api/show", { model: "tiny", verbose: true });
    const shows = managers.flatMap(({ asked }) => asked).filter((line) => line.startsWith("POST /api/show"));
    assert.equal(shows.length, 2, "equal questions share an answer");

    for (const [body, status, error] of [
      [{ model: "nope" }, 404, "model 'nope:latest' not found"],
      [{}, 400, "model is required"],
      [{ model: "../x" }, 400, "invalid model name"],
      ["{", 400, "unexpected EOF"],
      ["", 400, "missing request body"],
    ] as const) {
      const refused = await asks("POST /api/show", body);
      assert.deepEqual([refused.status, refused.last], [status, { error }]);
    }

    assert.deepEqual((await asks("GET /api/status")).last, { cloud: { disabled: true, source: "env" } });
    assert.equal((await asks("POST /api/me")).status, 404);
    const list = (await asks("GET /api/tags")).last as { models: { name: string }[] };
    assert.ok(list.models.every(({ name }) => !name.includes("@")));
    assert.ok(!(await asks("GET /metrics")).text.includes('model="@'));
  });
});

managed("models are managed by admins only", async (fleet) => {
  await withManagers(fleet, [["tiny:latest"]], async ({ managers, asks }) => {
    const lines = [
      "POST /api/pull",
      "POST /api/push",
      "POST /api/create",
      "POST /api/copy",
      "DELETE /api/delete",
    ];
    for (const line of [...lines, `POST /api/blobs/sha256:${NOWHERE}`]) {
      for (const headers of [{}, { authorization: "Bearer wrong" }]) {
        const refused = await asks(line, { model: "tiny" }, headers);
        assert.equal(refused.status, 403, line);
        assert.match(String(refused.last["error"]), /^[a-z-]+ is disabled by policy: it needs an admin key$/);
      }
    }
    assert.equal((await asks(`HEAD /api/blobs/sha256:${NOWHERE}`)).status, 403);
    assert.deepEqual(managers[0]?.asked, []);
  });
});

/** The error of an order that one of two servers carried out. */
const PARTIAL =
  /done on 1 of 2 servers \(worker w\w+ \(ollama@127\.0\.0\.1:\d+\)\), failed on worker w\w+ \(ollama@127\.0\.0\.1:\d+\): no space left$/;

managed("a pull reaches every server and tells their progress as one", async (fleet) => {
  await withManagers(fleet, [["tiny:latest"], ["tiny:latest"]], async ({ managers, asks }) => {
    const digest = `sha256:${"12".repeat(32)}`;
    const layer = { status: "pulling 121212121212", digest, total: 100 };
    const done = [
      { status: "verifying sha256 digest" },
      { status: "writing manifest" },
      { status: "success" },
    ];
    for (const manager of managers) {
      manager.pullLines = [{ status: "pulling manifest" }, layer, { ...layer, completed: 100 }, ...done];
    }
    const client = new Ollama({ host: fleet.gateway.url, headers: ADMIN });
    const steps: { status: string; total?: number; completed?: number }[] = [];
    for await (const step of await client.pull({ model: "fresh", stream: true })) steps.push(step);
    assert.equal(steps[0]?.status, "pulling manifest");
    assert.equal(steps.at(-1)?.status, "success");
    const layers = steps.filter(({ total }) => total !== undefined);
    assert.deepEqual([layers.at(-1)?.total, layers.at(-1)?.completed], [200, 200]);
    for (const text of ["pulling manifest", "verifying sha256 digest", "writing manifest", "success"])
      assert.equal(steps.filter(({ status }) => status === text).length, 1, text);
    for (const { asked } of managers)
      assert.deepEqual(asked, ['POST /api/pull {"name":"fresh","stream":true}']);
    await fleet.known("fresh");

    const whole = await asks("POST /api/pull", { model: "fresh", stream: false }, ADMIN);
    assert.deepEqual([whole.status, whole.text], [200, '{"status":"success"}']);

    for (const stream of [true, false]) {
      const named = await fetch(`${fleet.gateway.url}/api/pull`, {
        method: "POST",
        headers: { ...ADMIN, "x-request-id": "mine-1" },
        body: JSON.stringify({ model: "fresh", stream }),
      });
      await named.text();
      assert.equal(named.headers.get("x-request-id"), "mine-1");
    }

    const [, second] = managers;
    assert.ok(second);
    second.pullLines = [{ status: "pulling manifest" }, { error: "no space left" }];
    const broken = await asks("POST /api/pull", { model: "fresh" }, ADMIN);
    assert.equal(broken.status, 200);
    assert.match(String(broken.last["error"]), PARTIAL);
    const brokenWhole = await asks("POST /api/pull", { model: "fresh", stream: false }, ADMIN);
    assert.equal(brokenWhole.status, 500);
    assert.match(String(brokenWhole.last["error"]), PARTIAL);
    // The public client shows the outcome of each server, then one error that has them all.
    const told: string[] = [];
    await assert.rejects(
      (async () => {
        for await (const { status } of await client.pull({ model: "fresh", stream: true })) told.push(status);
      })(),
      PARTIAL,
    );
    assert.ok(
      told.some((status) => /^worker w\w+ \(ollama@\S+\): (?:success|failed: no space left)$/.test(status)),
    );
    await assert.rejects(client.pull({ model: "fresh" }), PARTIAL);
    const bad = await asks("POST /api/pull", {}, ADMIN);
    assert.deepEqual([bad.status, bad.last], [400, { error: "invalid model name" }]);
  });
});

managed("models are copied, deleted and given blobs where they are", async (fleet) => {
  await withManagers(fleet, [["tiny:latest"], ["other:latest"]], async ({ managers, asks }) => {
    const [first, second] = managers;
    const copied = await asks("POST /api/copy", { source: "tiny", destination: "twin" }, ADMIN);
    assert.deepEqual([copied.status, copied.text], [200, ""]);
    assert.ok(first?.models.has("twin:latest"));
    assert.ok(!second?.models.has("twin:latest"));
    await fleet.known("twin");
    const deleted = await asks("DELETE /api/delete", { model: "twin" }, ADMIN);
    assert.deepEqual([deleted.status, deleted.text], [200, ""]);
    assert.ok(!first?.models.has("twin:latest"));
    for (const [line, body, status, error] of [
      ["POST /api/copy", { source: "nope", destination: "x" }, 404, 'model "nope" not found'],
      ["POST /api/copy", { source: "bad name", destination: "x" }, 400, 'source "bad name" is invalid'],
      ["DELETE /api/delete", { model: "nope" }, 404, "model 'nope' not found"],
      ["DELETE /api/delete", {}, 400, "model is required"],
      ["POST /api/push", {}, 400, "model is required"],
      ["POST /api/create", { from: "tiny" }, 400, "invalid model name"],
      ["POST /api/blobs/xyz", "hello", 400, "invalid digest format"],
    ] as const) {
      const refused = await asks(line, body, ADMIN);
      assert.deepEqual([refused.status, refused.last], [status, { error }], line);
    }
    const blob = `/api/blobs/sha256:${createHash("sha256").update("hello").digest("hex")}`;
    assert.equal((await asks(`HEAD ${blob}`, undefined, ADMIN)).status, 404);
    assert.equal((await asks(`POST ${blob}`, "hello", ADMIN)).status, 201);
    assert.equal((await asks(`POST ${blob}`, "hello", ADMIN)).status, 200);
    assert.equal((await asks(`HEAD ${blob}`, undefined, ADMIN)).status, 200);
    const wrong = await asks(`POST /api/blobs/sha256:${NOWHERE}`, "hello", ADMIN);
    assert.equal(wrong.status, 400);
    assert.match(String(wrong.last["error"]), /digest mismatch/);
  });
});

managed("an order is answered when all that follows on it can be given", async (fleet) => {
  await withManagers(fleet, [["tiny:latest"], ["tiny:latest"]], async ({ managers, asks }) => {
    for (let round = 0; round < 20; round += 1) {
      const name = `twin${round}`;
      const copied = await asks("POST /api/copy", { source: "tiny", destination: name }, ADMIN);
      assert.equal(copied.status, 200);
      assert.equal((await asks("POST /api/show", { model: name })).status, 200, `show ${name}`);
      const deleted = await asks("DELETE /api/delete", { model: name }, ADMIN);
      assert.deepEqual([deleted.status, deleted.text], [200, ""], `delete ${name}`);
      assert.ok(!(await asks("GET /api/tags")).text.includes(name));
      assert.notEqual((await asks("POST /api/show", { model: name })).status, 200, `show ${name} no more`);
    }
    for (const line of ["POST /api/pull", "POST /api/create"]) {
      for (const stream of [true, false]) {
        const made = await asks(line, { model: "fresh", from: "tiny", stream }, ADMIN);
        assert.equal(made.last["status"], "success");
        assert.ok((await asks("GET /api/tags")).text.includes("fresh"), `${line} ${stream}`);
        assert.equal((await asks("DELETE /api/delete", { model: "fresh" }, ADMIN)).status, 200);
        assert.ok(managers.every(({ models }) => !models.has("fresh:latest")));
      }
    }
  });
});

managed("an order that not all servers carry out tells who did, and who was not asked", async (fleet) => {
  await withManagers(fleet, [["tiny:latest"], ["tiny:latest"]], async ({ managers, asks }) => {
    const [, second] = managers;
    assert.ok(second);
    const gate = Promise.withResolvers<void>();
    second.gate = gate.promise;
    const order = asks("DELETE /api/delete", { model: "tiny" }, ADMIN);
    await until("the order", () => second.asked.length === 1);
    second.models.clear();
    gate.resolve();
    const told = await order;
    assert.equal(told.status, 404);
    assert.match(
      String(told.last["error"]),
      /^done on 1 of 2 servers \(worker w\w+ \(ollama@\S+\)\), failed on worker w\w+ \(ollama@\S+\): model 'tiny' not found$/,
    );

    const [one] = await openStores(fleet.probe, fleet.keys).registry.listWorkers();
    await openStores(fleet.probe, fleet.keys).control.drain(one?.id ?? "", "drain");
    await until("a pull past a worker that drains", async () => {
      const { text, last } = await asks("POST /api/pull", { model: "fresh" }, ADMIN);
      assert.deepEqual(last, { status: "success" });
      return (
        text.startsWith(`{"status":"worker ${one?.id} (`) && text.includes("not asked, its worker drains")
      );
    });
  });
});

managed("a pull ends on every server when its client leaves", async (fleet) => {
  await withManagers(fleet, [["tiny:latest"], ["tiny:latest"]], async ({ managers }) => {
    const gate = Promise.withResolvers<void>();
    for (const manager of managers) manager.gate = gate.promise;
    const leave = new AbortController();
    const pull = fetch(`${fleet.gateway.url}/api/pull`, {
      method: "POST",
      headers: ADMIN,
      body: '{"model":"fresh"}',
      signal: leave.signal,
    });
    await until("both pulls", () => managers.every(({ asked }) => asked.length === 1));
    leave.abort();
    await assert.rejects(pull);
    await until("both ends", () => managers.every(({ hungUp }) => hungUp === 1));
    gate.resolve();
  });
});

managed("a management request ends with its worker, and a worker takes its queue along", async (fleet) => {
  await withManagers(fleet, [["tiny:latest"], ["tiny:latest"]], async (rig) => {
    const { managers, workers, asks } = rig;
    const opened = Promise.withResolvers<void>();
    for (const manager of managers) manager.gate = opened.promise;
    const pull = asks("POST /api/pull", { model: "fresh" }, ADMIN);
    await until("both pulls", () => managers.every(({ asked }) => asked.length === 1));
    workers[0]?.signal("SIGTERM");
    await until(
      "the worker that leaves",
      async () => (await asks("GET /api/ps")).status === 200 && claims(fleet),
    );
    opened.resolve();
    const answer = await pull;
    assert.equal(answer.last["status"], "success", "a worker that leaves finishes its management requests");
    assert.equal(await workers[0]?.exited, 0);
    const queues = asArray(await fleet.probe.command("KEYS", "sgnet:q:{@*")).map(asText);
    assert.equal(queues.length, 1);

    const stuck = Promise.withResolvers<void>();
    for (const manager of managers) manager.gate = stuck.promise;
    const lost = asks("POST /api/pull", { model: "later", stream: false }, ADMIN);
    await until("the pull", () => managers[1]?.asked.length === 2);
    await workers[1]?.kill();
    await fleet.probe.command("DEL", ...asArray(await fleet.probe.command("KEYS", "sgnet:wk:*")).map(asText));
    const told = await lost;
    assert.equal(told.status, 502);
    assert.match(String(told.last["error"]), /was lost/);
    stuck.resolve();
  });
});

/** True when a worker has announced that it drains. */
async function claims(fleet: Fleet): Promise<boolean> {
  const keys = asArray(await fleet.probe.command("KEYS", "sgnet:wk:*")).map(asText);
  const texts = await Promise.all(keys.map(async (key) => asText(await fleet.probe.command("GET", key))));
  return texts.some((text) => text.includes('"draining":true'));
}
