import type { ChatRequest, Part } from "../core/chat.ts";
import { Histogram } from "../core/duration-histogram.ts";
import type { Percentiles } from "../core/duration-histogram.ts";
import { toFault } from "../core/fault.ts";
import type { Fault } from "../core/fault.ts";
import type { Usage } from "../core/usage.ts";
import type { BenchTarget } from "./bench-target.ts";

export interface BenchLoad {
  readonly model: string;
  readonly stream: boolean;
  /** Each has one request open at a time. */
  readonly clients: number;
  readonly requests: number;
  readonly prompt: string;
  /** Longest answer. */
  readonly maxTokens: number;
}

/** What was measured; durations in µs, of answered requests only. */
export interface BenchFigures {
  readonly seconds: number;
  readonly answered: number;
  /** Failed requests by fault code. */
  readonly errors: Readonly<Record<string, number>>;
  /** What was said of the first failure of each code. */
  readonly reasons: Readonly<Record<string, string>>;
  /** True when it was stopped before all requests had been made. */
  readonly stopped: boolean;
  /** As the server counts them; absent when it does not tell. */
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  /** To the first text of a stream. */
  readonly first: Percentiles;
  /** Between the texts of a stream, which are tokens unless some came together. */
  readonly gap: Percentiles;
  readonly total: Percentiles;
}

/**
 * Sends a load and reads every answer to its end. Failed requests are counted, not thrown.
 *
 * @param stop when it aborts nothing more is asked, and requests that fail from then on count as not made: whoever
 * aborts it also closes the target
 */
export async function runLoad(
  target: BenchTarget,
  load: BenchLoad,
  stop: AbortSignal,
): Promise<BenchFigures> {
  const tally = new Tally();
  const begin = performance.now();
  let left = load.requests;
  const client = async (): Promise<void> => {
    while (left > 0 && !stop.aborted) {
      left -= 1;
      await askOnce(target, load, { tally, stop });
    }
  };
  await Promise.all(Array.from({ length: Math.min(load.clients, load.requests) }, client));
  return { ...tally.figures((performance.now() - begin) / 1000), stopped: stop.aborted };
}

async function askOnce(
  target: BenchTarget,
  load: BenchLoad,
  { tally, stop }: { readonly tally: Tally; readonly stop: AbortSignal },
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
    tally.answered({ firstMs: first, gaps, totalMs: performance.now() - begin, usage });
  } catch (error) {
    if (!stop.aborted) tally.failed(toFault(error));
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

class Tally {
  readonly #first = new Histogram();
  readonly #gap = new Histogram();
  readonly #total = new Histogram();
  readonly #errors = new Map<string, number>();
  readonly #reasons = new Map<string, string>();
  #answered = 0;
  #told = 0;
  #promptTokens = 0;
  #completionTokens = 0;

  answered({ firstMs, gaps, totalMs, usage }: Observation): void {
    this.#answered += 1;
    this.#total.record(totalMs * 1000);
    if (firstMs !== undefined) this.#first.record(firstMs * 1000);
    for (const gap of gaps) this.#gap.record(gap * 1000);
    if (usage === undefined) return;
    this.#told += 1;
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
      ...(this.#told > 0 && this.#told === this.#answered ? { promptTokens, completionTokens } : {}),
      first: this.#first.percentiles(),
      gap: this.#gap.percentiles(),
      total: this.#total.percentiles(),
    };
  }
}
