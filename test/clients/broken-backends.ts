import { modelKey } from "../../src/core/model.ts";
import type { Behaviour, StandIn } from "../rig/backends/stand-in.ts";

export type Kind = "ollama" | "openai";

/** A way in which a backend breaks an answer. */
export interface Breakage {
  readonly name: string;
  /** Which answers it breaks. */
  readonly of: "streams" | "whole" | "all";
  /** Number of tokens before the break. */
  readonly tokens: number;
  behave(kind: Kind): Partial<Behaviour>;
}

/** A backend that breaks nothing. */
export const CALM: Partial<Behaviour> = {
  dieAfter: undefined,
  hangAfter: undefined,
  tokenMs: 0,
  answers: {},
  refuse: undefined,
};

/** Every way of the fault table (issue 4) in which an answer breaks on its own. */
const BREAKAGES: readonly Breakage[] = [
  { name: "dies before the first byte", of: "all", tokens: 0, behave: () => ({ dieAfter: 0 }) },
  {
    name: "dies in the middle of a stream",
    of: "streams",
    tokens: 3,
    behave: () => ({ dieAfter: 3, tokenMs: 2 }),
  },
  {
    name: "ends a stream cleanly, without its end",
    of: "streams",
    tokens: 3,
    behave: (kind) => ({ answers: streamed(kind, chunksOf(kind, 3)) }),
  },
  {
    name: "ends a stream with an error",
    of: "streams",
    tokens: 2,
    behave: (kind) => ({ answers: streamed(kind, [...chunksOf(kind, 2), errorOf(kind)]) }),
  },
  {
    name: "begins a stream with an error",
    of: "streams",
    tokens: 0,
    behave: (kind) => ({ answers: streamed(kind, [errorOf(kind)]) }),
  },
  {
    name: "ends an answer in the middle of its JSON",
    of: "whole",
    tokens: 0,
    behave: (kind) => ({ answers: whole(kind, '{"model":"tiny","choices":[{"mess') }),
  },
  {
    name: "answers with an error and status 200",
    of: "whole",
    tokens: 0,
    behave: (kind) => ({
      answers: whole(kind, JSON.stringify({ error: kind === "ollama" ? "boom" : { message: "boom" } })),
    }),
  },
];

/** The breakages that one way of a client library is to tell as errors. */
export function breakagesFor(stream: boolean): readonly Breakage[] {
  return BREAKAGES.filter(({ of }) => of === "all" || of === (stream ? "streams" : "whole"));
}

/** Whether a client library asks for streams, for whole answers, or for both. */
export function waysOf(client: string): readonly boolean[] {
  return client.includes("helper") ? [true] : [true, false];
}

/** A backend that is full, and says when to come back: s. */
export const BUSY: Partial<Behaviour> = {
  refuse: { status: 503, message: "come back later", retryAfter: 1 },
};

/** A request waits for a busy backend: twice is enough to see it, and that it comes to an end. */
export const IMPATIENT = { SGNET_BUSY_LIMIT: "2" };

/** One way of a client library that is to ask a busy backend. */
export interface BusyWay {
  readonly client: string;
  readonly stream: boolean;
  /** A model of its own. A busy backend is counted by model, so no call waits for another. */
  readonly model: string;
}

export function busyWays(clients: readonly string[]): readonly BusyWay[] {
  return clients
    .flatMap((client) => waysOf(client).map((stream) => ({ client, stream })))
    .map(({ client, stream }, index) => ({ client, stream, model: `busy-${index}` }));
}

/** The number of requests to a backend for a model. */
export function triesOf({ requests }: StandIn, model: string): number {
  return requests.filter(({ body }) => modelKey(String(body["model"])) === model).length;
}

const PATHS: Readonly<Record<Kind, readonly string[]>> = {
  ollama: ["/api/chat", "/api/generate"],
  openai: ["/v1/chat/completions", "/v1/completions"],
};

function streamed(kind: Kind, data: readonly object[]): Behaviour["answers"] {
  const contentType = kind === "ollama" ? "application/x-ndjson" : "text/event-stream";
  const lines = data.map((one) =>
    kind === "ollama" ? `${JSON.stringify(one)}\n` : `data: ${JSON.stringify(one)}\n\n`,
  );
  return answers(kind, { contentType, body: lines.join("") });
}

function whole(kind: Kind, body: string): Behaviour["answers"] {
  return answers(kind, { contentType: "application/json", body });
}

function answers(kind: Kind, answer: Behaviour["answers"][string]): Behaviour["answers"] {
  return Object.fromEntries(PATHS[kind].map((path) => [path, answer]));
}

/** Tokens as the stand-in says them; each chunk serves chats and text completions. */
function chunksOf(kind: Kind, tokens: number): object[] {
  return Array.from({ length: tokens }, (_, index) => {
    const text = `t${index} `;
    if (kind === "ollama")
      return { model: "tiny", message: { role: "assistant", content: text }, response: text, done: false };
    return { choices: [{ index: 0, delta: { content: text }, text, finish_reason: null }] };
  });
}

function errorOf(kind: Kind): object {
  return { error: kind === "ollama" ? "boom" : { message: "boom", type: "server_error", code: 500 } };
}
