import assert from "node:assert/strict";
import { searchLocalServers } from "../../src/backends/open.ts";
import { loadSettings } from "../../src/config/load.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { startWorker } from "../../src/worker/worker.ts";
import { type StandIn, type StandInOptions, startStandIn } from "../rig/backends/stand-in.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { freePort } from "../rig/free-port.ts";
import { openStores } from "../../src/redis/stores.ts";

/** LLM servers that start after their worker, on ports that the worker takes for the usual ones. */

interface Waiting {
  readonly id: string;
  readonly lines: readonly string[];
  /** Starts a server at the port, which is stopped at the end. */
  readonly serve: (options: StandInOptions) => Promise<StandIn>;
}

/** A worker of this process without a backend in its settings. It watches a port, and stops before its Redis. */
async function withWorker(fleet: Fleet, run: (waiting: Waiting) => Promise<void>): Promise<void> {
  const port = await freePort();
  const standIns: StandIn[] = [];
  const env = { ...fleet.settingsOf("worker"), SGNET_EMBEDDED_MODEL: "off" };
  const settings = loadSettings({ flags: {}, env, cwd: fleet.folder });
  const lines: string[] = [];
  const log = openLog({ level: "info", format: "json", write: (line) => lines.push(line) });
  const watch = searchLocalServers({ settings, log }, [], [port]);
  const worker = await startWorker({ settings, log, backends: [], watch });
  const serve = async (options: StandInOptions): Promise<StandIn> => {
    const standIn = await startStandIn({ ...options, port });
    standIns.push(standIn);
    return standIn;
  };
  try {
    await run({ id: worker.id, lines, serve });
  } finally {
    await worker.stop();
    await Promise.all(standIns.map((standIn) => standIn.stop()));
  }
}

async function backends(fleet: Fleet): Promise<readonly string[]> {
  const [worker] = await openStores(fleet.probe, fleet.keys).registry.listWorkers();
  return (worker?.backends ?? []).map(
    ({ name, healthy }) => `${name.split("@")[0] ?? ""} ${healthy ? "up" : "down"}`,
  );
}

async function shows(fleet: Fleet, expected: string): Promise<void> {
  await until(expected, async () => (await backends(fleet)).join() === expected);
}

async function answers(fleet: Fleet, model: string): Promise<string> {
  await fleet.known(model);
  const response = await fetch(`${fleet.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
  });
  assert.equal(response.status, 200);
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  return choices[0]?.message.content ?? "";
}

const SHOWN = { contentType: "application/json", body: '{"capabilities":["completion"]}' };
const VLLM: StandInOptions = {
  speaks: "openai",
  models: ["big"],
  documents: { "/version": { version: "0.33.0" } },
};
const PLAN = { posts: [] };

journey(
  "a server that starts after its worker serves, goes, and comes back as another",
  PLAN,
  async (fleet) => {
    await withWorker(fleet, async ({ lines, serve }) => {
      assert.deepEqual(await backends(fleet), []);
      const ollama = await serve({ speaks: "ollama", answers: { "/api/show": SHOWN } });
      await shows(fleet, "ollama up");
      assert.match(await answers(fleet, "tiny"), /^t0 t1/);
      const shown = await fetch(`${fleet.gateway.url}/api/show`, {
        method: "POST",
        body: '{"model":"tiny"}',
      });
      assert.deepEqual(await shown.json(), JSON.parse(SHOWN.body), "management requests reach it, too");
      await ollama.stop();
      await shows(fleet, "ollama down");
      await serve(VLLM);
      await shows(fleet, "vllm up");
      assert.match(await answers(fleet, "big"), /^t0 t1/);
      const told = lines.filter((line) => /backend found|another kind|not available/.test(line));
      assert.deepEqual(
        told.map((line) => (JSON.parse(line) as { message: string }).message),
        [
          "backend found",
          "backend is not available",
          "another kind of server answers at the address of a backend",
        ],
      );
    });
  },
);

journey(
  "a server that is found by a draining worker gets no tasks before the end of that",
  PLAN,
  async (fleet) => {
    await withWorker(fleet, async ({ id, lines, serve }) => {
      await openStores(fleet.probe, fleet.keys).control.drain(id, "drain");
      await until("the drain", () => lines.some((line) => line.includes("draining")));
      const standIn = await serve({ speaks: "ollama" });
      await shows(fleet, "ollama up");
      const answer = answers(fleet, "tiny");
      await until("a task in the queue", async () => {
        return (await fleet.probe.command("XLEN", fleet.keys.queue("tiny"))) === 1;
      });
      assert.equal(standIn.requests.length, 0);
      await openStores(fleet.probe, fleet.keys).control.drain(id, "undrain");
      assert.match(await answer, /^t0 t1/);
    });
  },
);
