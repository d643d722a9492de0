import type { EndReason } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { Json } from "../../core/json.ts";

/** Values of `finish_reason`, in lower case; all but the first of each line are other servers' words. */
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

/** These stand for a failure. */
const FAILURES: ReadonlySet<string> = new Set(["abort", "error", "cancelled", "canceled", "failed"]);

/** How a chunk or a choice says that it is the end. */
export type Finish =
  | EndReason
  /** A word that is not known: it is an end only when something else says so, too. */
  | "unknown"
  /** No end. */
  | undefined;

/**
 * Reads a `finish_reason`. An empty one, and the word "null", which some servers have in every chunk, is none. Throws
 * `backend_lost` for the reasons that stand for a failure.
 */
export function finishOf(value: Json | undefined): Finish {
  if (typeof value !== "string") return value === undefined || value === null ? undefined : "unknown";
  const word = value.trim().toLowerCase();
  if (word === "" || word === "null" || word === "none") return undefined;
  if (FAILURES.has(word)) {
    throw new Fault("backend_lost", `the backend gave up the answer: ${word}`, { blame: "model" });
  }
  return REASONS.get(word) ?? "unknown";
}

/**
 * Watches whether a choice has ended. Some servers say "stop" in every chunk, and some leave out `[DONE]`. A reason is a
 * sure end only where chunks before it had none, and nothing of the answer follows it; else the end of the stream itself
 * has to come.
 */
export class EndWatch {
  #finish: Finish;
  #broken = false;
  #began: boolean;

  /** @param began true when there were chunks without a reason before */
  constructor(began = false) {
    this.#began = began;
  }

  /** @param says true when the same chunk has a piece of the answer */
  add(finish: Finish, says: boolean): void {
    if (says && this.#finish !== undefined) this.#broken = true;
    if (finish === undefined && this.#finish === undefined) this.#began = true;
    if (finish !== undefined && !this.#isKept(finish, says)) this.#finish = finish;
  }

  /** A reason that is known stays; a cut stays where nothing follows it but another word for the end. */
  #isKept(finish: Finish, says: boolean): boolean {
    if (this.#finish === undefined) return false;
    if (finish === "unknown") return true;
    const isCut = this.#finish === "length" || this.#finish === "content-filter";
    return isCut && !says && (finish === "stop" || finish === "tool-calls");
  }

  /** True when a reason has come, known or not. */
  get isTold(): boolean {
    return this.#finish !== undefined;
  }

  /** True when the choice has ended, even if no `[DONE]` comes. */
  get isSure(): boolean {
    return this.#began && this.#finish !== undefined && this.#finish !== "unknown" && !this.#broken;
  }

  /** Why it ended, once it has. */
  get reason(): EndReason {
    return this.#finish === undefined || this.#finish === "unknown" ? "stop" : this.#finish;
  }
}
