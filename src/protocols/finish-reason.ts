import type { EndReason } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import type { Json } from "../core/json.ts";

/** Values of `finish_reason` in lower case. Each line begins with OpenAI's value; the others are from other servers. */
const REASONS: ReadonlyMap<string, EndReason> = new Map(
  (
    [
      [
        "stop",
        "stop eos eos_token stop_sequence stop_token end_turn end_of_turn complete completed endoftext",
      ],
      ["length", "length max_tokens max_length max_output_tokens model_length token_limit incomplete"],
      ["tool-calls", "tool_calls tool_call tool_use function_call"],
      ["content-filter", "content_filter content_filtered safety recitation blocklist refusal"],
    ] as const
  ).flatMap(([reason, words]) => words.split(" ").map((word) => [word, reason] as const)),
);

/** Values that stand for a failure. */
const FAILURES: ReadonlySet<string> = new Set(["abort", "error", "cancelled", "canceled", "failed"]);

/** The end of a choice, as a chunk or a whole reply states it. */
type FinishReason =
  | EndReason
  /** An unknown word. It is an end only when the end of the stream confirms it. */
  | "unknown"
  /** No end yet. */
  | undefined;

/**
 * Reads a `finish_reason`. "", "null" and "none", which some servers send in every chunk, are no reason. Throws
 * `backend_lost` for a reason that stands for a failure.
 */
export function readFinishReason(value: Json | undefined): FinishReason {
  if (typeof value !== "string") return value === undefined || value === null ? undefined : "unknown";
  const word = value.trim().toLowerCase();
  if (word === "" || word === "null" || word === "none") return undefined;
  if (FAILURES.has(word)) {
    throw new Fault("backend_lost", `the backend aborted the answer: ${word}`, { blame: "model" });
  }
  return REASONS.get(word) ?? "unknown";
}

/**
 * Detects the end of a choice. Some servers send "stop" in every chunk, and some omit `[DONE]`. A reason is a certain
 * end when earlier chunks had none and no content follows. Otherwise only the end of the stream counts.
 */
export class ChoiceEnd {
  #finish: FinishReason;
  #broken = false;
  #began: boolean;

  /** @param began true when earlier chunks had no reason */
  constructor(began = false) {
    this.#began = began;
  }

  /** @param says true when the same chunk has content */
  add(finish: FinishReason, hasContent: boolean): void {
    if (hasContent && this.#finish !== undefined) this.#broken = true;
    if (finish === undefined && this.#finish === undefined) this.#began = true;
    if (finish !== undefined && !this.#isKept(finish, hasContent)) this.#finish = finish;
  }

  /** A known reason stays. A truncation stays unless content follows it. */
  #isKept(finish: FinishReason, hasContent: boolean): boolean {
    if (this.#finish === undefined) return false;
    if (finish === "unknown") return true;
    const isCut = this.#finish === "length" || this.#finish === "content-filter";
    return isCut && !hasContent && (finish === "stop" || finish === "tool-calls");
  }

  /** True after a reason, known or not. */
  get hasReason(): boolean {
    return this.#finish !== undefined;
  }

  /** True when the choice has ended, even without `[DONE]`. */
  get isCertain(): boolean {
    return this.#began && this.#finish !== undefined && this.#finish !== "unknown" && !this.#broken;
  }

  /** The reason, once the choice has ended. */
  get reason(): EndReason {
    return this.#finish === undefined || this.#finish === "unknown" ? "stop" : this.#finish;
  }
}
