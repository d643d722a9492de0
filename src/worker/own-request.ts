import { setTimeout as delay } from "node:timers/promises";
import type { ReplySink } from "../backends/backend.ts";
import { Fault, toFault } from "../core/fault.ts";
import { ABILITIES, abilityOf } from "../core/ability.ts";
import type { Endpoint, Task } from "../core/task.ts";
import { SURFACE } from "../protocols/openai/surface.ts";
import { processStalls } from "../telemetry/stall-detector.ts";
import type { SlotLease } from "./slot-lease.ts";

/** Longest wait for the first bytes of the worker's own request (ms): a cold model may have to be loaded. */
const PATIENCE_MS = 60_000;

/** The smallest request of each kind: one token, or one vector. */
const CHAT = { endpoint: "openai-chat", more: { messages: [{ role: "user", content: "Hi" }] } } as const;
const COMPLETION = { endpoint: "openai-completion", more: { prompt: "Hi" } } as const;
const EMBEDDING = { endpoint: "openai-embeddings", more: { input: "Hi" } } as const;

/** The result of the worker's own request. `works`: bytes came, or a refusal of the backend's own. */
export type OwnAnswer = "works" | "fails" | "busy" | "unclear";

/**
 * Sends a backend the smallest request of the kind that clients sent. The worker's own request has no client: its result
 * says something of the backend alone. Never rejects.
 * @param lease the slot of the request; it gets a report when the model is loaded
 * @param like endpoint of the failed request
 * @param signal stops it: then it is `unclear`
 */
export async function sendOwnRequest(
  lease: SlotLease,
  like: Endpoint | undefined,
  signal: AbortSignal,
): Promise<OwnAnswer> {
  const { backendSlots, model } = lease;
  const name = backendSlots.nameOf(model);
  const task = name === undefined ? undefined : ownTask(name, model, like);
  if (name === undefined || task === undefined) return "unclear";
  const begun = new AbortController();
  const ends = AbortSignal.any([begun.signal, signal, processStalls.signal(PATIENCE_MS)]);
  const startedAt = performance.now();
  try {
    await backendSlots.backend.run(task, name, sinkOf(begun, lease), ends);
    return "works";
  } catch (error) {
    if (begun.signal.aborted) return "works";
    if (signal.aborted) return "unclear";
    // This process stood still: its timer was first.
    if (ends.aborted && processStalls.since(startedAt) > 0) return "unclear";
    return answerOf(toFault(error), ends.aborted);
  }
}

function answerOf(fault: Fault, isTooSlow: boolean): OwnAnswer {
  if (isTooSlow) return "fails";
  if (fault.code === "backend_busy") return "busy";
  // A bug of ours, or a request that this backend does not take: neither shows that it is broken.
  if (fault.code === "internal" || fault.code === "unsupported") return "unclear";
  return fault.code === "backend_error" && fault.http < 500 ? "works" : failureOf(fault);
}

const FAILURES: ReadonlySet<string> = new Set([
  "backend_error",
  "backend_lost",
  "backend_unreachable",
  "connect_timeout",
]);

function failureOf({ code }: Fault): OwnAnswer {
  return FAILURES.has(code) ? "fails" : "works";
}

/** Undefined where even the smallest request of its kind would cost much. @param queue the name of the queue */
function ownTask(model: string, queue: string, like: Endpoint | undefined): Task | undefined {
  const kind = abilityOf(queue) === undefined ? kindOf(like) : kindOfAbility(queue);
  if (kind === undefined) return undefined;
  const { endpoint, more } = kind;
  const size = TOKENS.has(endpoint) ? { max_tokens: 1, stream: true } : {};
  const now = Date.now();
  return {
    id: "own.1",
    endpoint,
    model,
    stream: TOKENS.has(endpoint),
    createdAt: now,
    deadline: now + PATIENCE_MS,
    requestId: "",
    trace: "",
    body: Buffer.from(JSON.stringify({ model, ...more, ...size })),
  };
}

/** Endpoints whose answer is a stream of tokens. */
const TOKENS: ReadonlySet<string> = new Set(["openai-chat", "openai-completion"]);

interface Kind {
  readonly endpoint: Endpoint;
  readonly more: object;
}

function kindOfAbility(queue: string): Kind | undefined {
  const row = SURFACE.find(({ endpoint }) => ABILITIES[endpoint] === abilityOf(queue));
  return row?.smallest === undefined ? undefined : { endpoint: row.endpoint, more: row.smallest };
}

const EMBEDDINGS: ReadonlySet<string> = new Set(["ollama-embed", "ollama-embeddings", "openai-embeddings"]);
const COMPLETIONS: ReadonlySet<string> = new Set(["ollama-generate", "openai-completion"]);

function kindOf(like: Endpoint = "openai-chat"): Kind {
  if (EMBEDDINGS.has(like)) return EMBEDDING;
  return COMPLETIONS.has(like) ? COMPLETION : CHAT;
}

const nothing = (): void => {};

/** Ends the request at its first bytes: they are all that is wanted. */
function sinkOf(begun: AbortController, lease: SlotLease): ReplySink {
  return {
    head: nothing,
    write: () => begun.abort(new Fault("cancelled", "the first bytes were all that was wanted")),
    progress: { connecting: nothing, sent: nothing, alive: () => lease.loaded() },
  };
}

/** Resolves with true after a time (ms), or with false when the signal ends it before. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return delay(ms, true, { signal, ref: false }).catch(() => false);
}
