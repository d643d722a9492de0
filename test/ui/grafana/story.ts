import { setTimeout as delay } from "node:timers/promises";
import { Fleet } from "../../rig/fleet/fleet.ts";
import type { Program } from "../../rig/fleet/program.ts";
import { type StandIn, startStandIn, type StandInOptions } from "../../rig/backends/stand-in.ts";
import { layLetter, startLoad } from "../busy-fleet.ts";

/** A fleet of three nodes and two gateways. Its load rises and falls for five minutes, so that every panel has a curve. */

const GB = 1_000_000_000;

interface NodePlan extends StandInOptions {
  readonly host: string;
  readonly speaks: "ollama" | "openai";
  readonly models: readonly string[];
  readonly slots: number;
}

const NODES: readonly NodePlan[] = [
  {
    host: "gpu-1",
    speaks: "ollama",
    models: ["llama3.2:3b", "gemma3:4b", "nomic-embed-text"],
    slots: 4,
    firstTokenMs: 180,
    tokenMs: 25,
    tokens: 120,
  },
  {
    host: "gpu-2",
    speaks: "openai",
    models: ["mistral-small-24b", "qwen3:8b"],
    slots: 8,
    firstTokenMs: 350,
    tokenMs: 18,
    tokens: 160,
  },
  {
    host: "gpu-3",
    speaks: "ollama",
    models: ["llama3.2:3b", "qwen3:8b"],
    slots: 3,
    firstTokenMs: 260,
    tokenMs: 40,
    tokens: 90,
  },
];

/** Number of clients for each model; each sends one request after the other. */
const CALM = { "llama3.2:3b": 2, "qwen3:8b": 3, "mistral-small-24b": 2, "not-there": 1 };
const BUSY = { "llama3.2:3b": 10, "gemma3:4b": 2, "qwen3:8b": 6, "mistral-small-24b": 7, "not-there": 2 };

const FAILS = { status: 500, message: "CUDA error: out of memory" };

interface Node {
  readonly standIn: StandIn;
  readonly worker: Program;
  /** Models in memory, as an Ollama reports them. */
  readonly documents: Record<string, unknown>;
}

export class Story {
  readonly fleet: Fleet;
  readonly #nodes: readonly Node[];

  private constructor(fleet: Fleet, nodes: readonly Node[]) {
    this.fleet = fleet;
    this.#nodes = nodes;
  }

  static async begin(): Promise<Story> {
    const fleet = await Fleet.start({ posts: [], gateways: 2, env: { SGNET_LEASE_MS: "2000" } });
    const nodes: Node[] = [];
    const story = new Story(fleet, nodes);
    try {
      for (const plan of NODES) nodes.push(await startNode(fleet, plan));
    } catch (error) {
      await story.end();
      throw error;
    }
    return story;
  }

  async end(): Promise<void> {
    await this.fleet.stop();
    await Promise.all(this.#nodes.map(({ standIn }) => standIn.stop()));
  }

  /** Tells it once: calm, crowded, a node that fails, a worker that falls silent, crowded again. */
  async tell(): Promise<void> {
    const [first, second, third] = this.#nodes;
    if (first === undefined || second === undefined || third === undefined)
      throw new Error("nodes are missing");
    await this.#while(CALM, 50_000, async () => swap(first, "gemma3:4b", 4100));
    await this.#while(BUSY, 70_000, async () => swap(first, "llama3.2:3b", 2600));
    await this.#while(CALM, 60_000, async () => {
      await swap(third, "qwen3:8b", 6400);
      second.standIn.behaviour.refuse = FAILS;
      await delay(14_000);
      second.standIn.behaviour.refuse = undefined;
      first.standIn.behaviour.dieAfter = 20;
      await delay(4000);
      first.standIn.behaviour.dieAfter = undefined;
    });
    await this.#while(BUSY, 70_000, async () => {
      await swap(first, "gemma3:4b", 3900);
      third.worker.signal("SIGSTOP");
      await delay(6000);
      third.worker.signal("SIGCONT");
      await layLetter(this.fleet, "order-4711");
      await swap(third, "llama3.2:3b", 3100);
    });
    await this.#while(CALM, 40_000, async () => undefined);
  }

  /** Runs something while clients come and go. */
  async #while(
    clients: Readonly<Record<string, number>>,
    ms: number,
    act: () => Promise<void>,
  ): Promise<void> {
    const loads = this.fleet.gateways.map(({ url }, index) => startLoad(url, shareOf(clients, index)));
    const leave = new AbortController();
    const passers = Promise.all([passBy(this.fleet, leave.signal), embed(this.fleet, leave.signal)]);
    try {
      await Promise.all([delay(ms), act()]);
    } finally {
      leave.abort();
      await Promise.all([...loads.map((load) => load.stop()), passers]);
    }
  }
}

/** A worker on a host of its own name, with the LLM server beside it. */
async function startNode(fleet: Fleet, { host, slots, ...options }: NodePlan): Promise<Node> {
  const documents: Record<string, unknown> = {};
  const standIn = await startStandIn({ ...options, documents });
  const worker = await fleet.addBareWorker({
    SGNET_BACKENDS: `${options.speaks}+${standIn.url}`,
    SGNET_SLOTS: String(slots),
    NODE_OPTIONS: `--import=${namedHost(host)}`,
  });
  const node = { standIn, worker, documents };
  if (options.speaks === "ollama") await swap(node, options.models[0] ?? "", 0);
  return node;
}

/** A module that gives the process's host another name: the pictures show no real one, and several. */
function namedHost(host: string): string {
  const code = `import os from "node:os";
    import { syncBuiltinESMExports } from "node:module";
    os.hostname = () => ${JSON.stringify(host)};
    syncBuiltinESMExports();`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

/** Ollama takes one model out of its memory and another one in: the first requests wait for that. */
async function swap({ standIn, documents }: Node, model: string, loadMs: number): Promise<void> {
  const size = model.startsWith("qwen") ? 6.1 * GB : 3.4 * GB;
  documents["/api/ps"] = { models: [{ name: model, model, size, size_vram: size }] };
  const { behaviour } = standIn;
  const usual = behaviour.firstTokenMs;
  Object.assign(behaviour, { loadMs, firstTokenMs: usual + loadMs });
  await delay(1500);
  Object.assign(behaviour, { loadMs: 1, firstTokenMs: usual });
}

/** Every second client goes to the second gateway. */
function shareOf(clients: Readonly<Record<string, number>>, index: number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(clients).map(([model, count]) => [model, Math.floor((count + 1 - index) / 2)]),
  );
}

/** Clients that hang up in the middle. */
async function passBy({ gateway }: Fleet, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const body = { model: "qwen3:8b", messages: [{ role: "user", content: "hi" }], stream: true };
    await post(`${gateway.url}/api/chat`, body, AbortSignal.any([signal, AbortSignal.timeout(900)]));
    await pause(600, signal);
  }
}

async function embed({ gateway }: Fleet, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await post(`${gateway.url}/api/embed`, { model: "nomic-embed-text", input: "some words" }, signal);
    await pause(300, signal);
  }
}

async function post(url: string, body: object, signal: AbortSignal): Promise<void> {
  try {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
    await response.text();
  } catch {
    // Hung up, as it was meant to be.
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
