import { setTimeout as delay } from "node:timers/promises";
import { Fleet, type PostPlan } from "../rig/fleet/fleet.ts";
import { aTask } from "../rig/task.ts";
import { leaveDeadLetter } from "../rig/dead-letter.ts";

/** A fleet with something to see. */

const MODELS = ["llama3.2:3b", "qwen3:8b", "gemma3:4b"];

const POSTS: readonly PostPlan[] = [
  { speaks: "ollama", models: ["tiny:latest", ...MODELS], tokenMs: 30, tokens: 120, slots: 4 },
  { speaks: "openai", models: ["mistral-small-24b", "qwen3:8b"], tokenMs: 18, tokens: 160, slots: 8 },
  { speaks: "ollama", models: ["llama3.2:3b", "nomic-embed-text"], tokenMs: 45, tokens: 90, slots: 2 },
];

/** Starts a gateway and three posts, in this order, with further settings. */
export async function startBusyFleet(env: Readonly<Record<string, string>> = {}): Promise<Fleet> {
  const fleet = await Fleet.start({ posts: [], env });
  try {
    for (const post of POSTS) await fleet.addPost(post);
  } catch (error) {
    await fleet.stop();
    throw error;
  }
  return fleet;
}

export interface Load {
  /** Cuts all requests and resolves when that is done. Rejects when a gateway has given no answer for some time. */
  stop(): Promise<void>;
}

/** Sends requests without end: some clients in a loop for each model, and one for a missing model. */
export function startLoad(gateway: string, clients: Readonly<Record<string, number>>): Load {
  const leave = new AbortController();
  const loops = Promise.all(
    Object.entries(clients).flatMap(([model, count]) =>
      Array.from({ length: count }, async (_none, index) =>
        askOnAndOn({ gateway, model, index, signal: leave.signal }),
      ),
    ),
  );
  // Told when it is stopped.
  loops.catch(() => undefined);
  return {
    stop: async () => {
      leave.abort();
      await loops;
    },
  };
}

/** Failures in a row after which a client gives its gateway up, and the pause before it tries again, ms. */
const MOST_FAILURES = 40;
const PAUSE_MS = 250;

const PATHS = ["/v1/chat/completions", "/api/chat", "/v1/messages"];

async function askOnAndOn(client: {
  gateway: string;
  model: string;
  index: number;
  signal: AbortSignal;
}): Promise<void> {
  const { gateway, model, index, signal } = client;
  const path = PATHS[index % PATHS.length] ?? "";
  let failures = 0;
  while (!signal.aborted) {
    try {
      const response = await fetch(`${gateway}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model,
          stream: true,
          max_tokens: 60 + index * 20,
          messages: [{ role: "user", content: "a secret prompt" }],
        }),
        signal,
      });
      await response.text();
      failures = 0;
      if (!response.ok) await delay(900, undefined, { signal });
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (failures === MOST_FAILURES) throw new Error(`${gateway} answers nobody`, { cause: error });
      await delay(PAUSE_MS);
    }
  }
}

/** Leaves a dead letter of the model tiny, given up now. */
export async function layLetter({ probe, keys }: Fleet, requestId: string): Promise<void> {
  const body = Buffer.from('{"model":"tiny","prompt":"a secret prompt","stream":false}');
  const ids = { id: `g1.${requestId}`, requestId };
  const times = { createdAt: 1, deadline: 60_001 };
  const task = aTask({ ...ids, ...times, endpoint: "ollama-generate", stream: false, body });
  await leaveDeadLetter(probe, keys, task);
}
