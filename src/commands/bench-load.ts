import type { ChatRequest, Part } from "../core/chat.ts";
import { Histogram } from "../telemetry/duration-histogram.ts";
import type { Percentiles } from "../telemetry/duration-histogram.ts";
import { toFault } from "../core/fault.ts";
import type { Fault } from "../core/fault.ts";
import type { Usage } from "../core/usage.ts";
import type { BenchTarget } from "./bench-target.ts";

export interface BenchLoad {
  readonly model: string;
  readonly stream: boolean;
  /** Clients, each with one open request at a time. */
  readonly clients: number;
  readonly requests: number;
  readonly prompt: string;
  /** Longest answer, tokens. */
  readonly maxTokens: number;
}

/** Measured figures. Durations are in µs and cover answered requests only. */
export interface BenchFigures {
  readonly seconds: number;
  readonly answered: number;
  /** Failed requests by fault code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Message of the first failure of each code. */
  readonly reasons: Readonly<Record<string, string>>;
  /** True when the load was stopped before its last request. */
  readonly stopped: boolean;
  /** Tokens as the server counts them; absent when it does not. */
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  /** Time to the first text of a stream. */
  readonly first: Percentiles;
  /** Time between two texts of a stream; each is a token unless several came together. */
  readonly gap: Percentiles;
  readonly total: Percentiles;
}

/**
 * Sends a load and reads each answer to its end. Failed requests are counted, not thrown.
 * @param stop ends the load. Requests that fail afterwards are not counted. The caller closes the target, too.
 */
export async function runLoad(
  target: BenchTarget,
  load: BenchLoad,
  stop: AbortSignal,
): Promise<BenchFigures> {
  const results = new LoadResults();
  const begin = performance.now();
  let left = load.requests;
  const client = async (): Promise<void> => {
    while (left > 0 && !stop.aborted) {
      left -= 1;
      await askOnce(target, load, { results, stop });
    }
  };
  await Promise.all(Array.from({ length: Math.min(load.clients, load.requests) }, client));
  return { ...results.figures((performance.now() - begin) / 1000), stopped: stop.aborted };
}

async function askOnce(
  target: BenchTarget,
  load: BenchLoad,
  { results, stop }: { readonly results: LoadResults; readonly stop: AbortSignal },
): Promise<void> {
  const begin = performance.now();
  const gaps: number[] = [];
  let first: number | undefined;
  let last = begin;
  const onPart = (part: Part): void => {
    if (part.type !== "text-delta" && part.type !== "thinking-delta") return;
    const now = performance.now();
    if (first === undefined) first = now - begin;
    else gaps.push(now - last);
    last = now;
  };
  try {
    const { usage } = await target.ask(requestOf(load), load, onPart);
    results.answered({ firstMs: first, gaps, totalMs: performance.now() - begin, usage });
  } catch (error) {
    if (!stop.aborted) results.failed(toFault(error));
  }
}

function requestOf({ prompt, maxTokens }: BenchLoad): ChatRequest {
  const content = [{ type: "text", text: prompt } as const];
  return { kind: "chat", messages: [{ role: "user", content }], sampling: { maxTokens } };
}

interface Observation {
  readonly firstMs: number | undefined;
  readonly gaps: readonly number[];
  readonly totalMs: number;
  readonly usage: Usage | undefined;
}

class LoadResults {
  readonly #first = new Histogram();
  readonly #gap = new Histogram();
  readonly #total = new Histogram();
  readonly #errors = new Map<string, number>();
  readonly #reasons = new Map<string, string>();
  #answered = 0;
  #counted = 0;
  #promptTokens = 0;
  #completionTokens = 0;

  answered({ firstMs, gaps, totalMs, usage }: Observation): void {
    this.#answered += 1;
    this.#total.record(totalMs * 1000);
    if (firstMs !== undefined) this.#first.record(firstMs * 1000);
    for (const gap of gaps) this.#gap.record(gap * 1000);
    if (usage === undefined) return;
    this.#counted += 1;
    this.#promptTokens += usage.promptTokens;
    this.#completionTokens += usage.completionTokens;
  }

  failed({ code, message }: Fault): void {
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
    if (!this.#reasons.has(code)) this.#reasons.set(code, message);
  }

  figures(seconds: number): Omit<BenchFigures, "stopped"> {
    const [promptTokens, completionTokens] = [this.#promptTokens, this.#completionTokens];
    return {
      seconds,
      answered: this.#answered,
      errors: Object.fromEntries(this.#errors),
      reasons: Object.fromEntries(this.#reasons),
      ...(this.#counted > 0 && this.#counted === this.#answered ? { promptTokens, completionTokens } : {}),
      first: this.#first.percentiles(),
      gap: this.#gap.percentiles(),
      total: this.#total.percentiles(),
    };
  }
}
