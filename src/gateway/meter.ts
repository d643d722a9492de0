import { needsAbility } from "../core/ability.ts";
import { dialectOf } from "../core/task.ts";
import type { Dialect, Endpoint, Task } from "../core/task.ts";
import type { Usage } from "../core/usage.ts";

/** An exchange as the meter sees it. */
export interface Metered {
  readonly task: Pick<Task, "endpoint" | "stream">;
  /** Model key. */
  readonly model: string;
  /** Bytes of the answer given to the client so far. */
  readonly bytes: number;
  /** The meter's own: tokens it has counted so far. A field, as a WeakMap costs the gateway 3 % of a request. */
  metered: number;
}

/** How far back the meter remembers, s. */
export const METER_SECONDS = 300;

/** Share of the newest second in a model's smoothed rate. */
const NEWEST = 0.3;

/** A rate below this, tokens per second, counts as none. */
const NOTHING = 0.05;

/** Kinds of streams whose size per token is remembered. */
const MOST_KINDS = 1000;

/** Bytes per token before any answer of a kind has ended: one event with four letters of text (API.md's captures). */
const FIRST_GUESS: Readonly<Record<Dialect, number>> = { ollama: 110, openai: 190, anthropic: 120 };

/**
 * Tokens per second through this gateway. While a stream runs its tokens are estimated from its bytes, by the bytes
 * per token of those of its kind that ended before; its usage corrects the count at the end. So the hot path counts
 * bytes only.
 */
export class Meter {
  readonly #seconds: number[] = Array<number>(METER_SECONDS).fill(0);
  readonly #bytesPerToken = new Map<string, number>();
  /** Tokens since the last tick, by model. */
  #fresh = new Map<string, number>();
  #rates = new Map<string, number>();

  /** Tokens of each of the last {@link METER_SECONDS} seconds, the newest last. */
  get seconds(): readonly number[] {
    return this.#seconds;
  }

  /** Smoothed tokens per second by model; models without any are left out. */
  get rates(): ReadonlyMap<string, number> {
    return this.#rates;
  }

  /** Tokens given to the client so far, about. */
  tokensOf(metered: Metered): number {
    return Math.round(metered.bytes / this.#sizeOf(metered));
  }

  /** To be called once a second with all open exchanges. */
  tick(open: Iterable<Metered>): void {
    for (const metered of open) this.#count(metered, this.tokensOf(metered));
    let sum = 0;
    const rates = new Map<string, number>();
    const debts = new Map<string, number>();
    for (const model of new Set([...this.#rates.keys(), ...this.#fresh.keys()])) {
      const news = this.#fresh.get(model) ?? 0;
      const tokens = Math.max(0, news);
      const rate = (this.#rates.get(model) ?? 0) * (1 - NEWEST) + tokens * NEWEST;
      if (rate >= NOTHING) rates.set(model, rate);
      // What was estimated too high is taken from the seconds to come.
      if (news < 0) debts.set(model, news);
      sum += tokens;
    }
    this.#rates = rates;
    this.#fresh = debts;
    this.#seconds.shift();
    this.#seconds.push(Math.round(sum));
  }

  /** An exchange is over; what the worker told about its tokens is the truth. */
  ended(metered: Metered, usage: Usage | undefined): void {
    const tokens = usage?.completionTokens ?? this.tokensOf(metered);
    this.#count(metered, tokens);
    if (usage !== undefined && tokens > 0 && metered.task.stream) this.#learn(metered, tokens);
  }

  #count(metered: Metered, tokens: number): void {
    const news = tokens - metered.metered;
    if (news === 0) return;
    metered.metered = tokens;
    this.#fresh.set(metered.model, (this.#fresh.get(metered.model) ?? 0) + news);
  }

  #learn(metered: Metered, tokens: number): void {
    const kind = kindOf(metered);
    const known = this.#bytesPerToken.get(kind);
    if (known === undefined && this.#bytesPerToken.size >= MOST_KINDS) this.#bytesPerToken.clear();
    const size = metered.bytes / tokens;
    this.#bytesPerToken.set(kind, known === undefined ? size : known * 0.8 + size * 0.2);
  }

  /** A whole answer is not there before its end. */
  #sizeOf(metered: Metered): number {
    if (!metered.task.stream || isWordless(metered.task.endpoint)) return Infinity;
    return this.#bytesPerToken.get(kindOf(metered)) ?? FIRST_GUESS[dialectOf(metered.task.endpoint)];
  }
}

/** True where the bytes of an answer are no tokens: sounds, images. */
function isWordless(endpoint: Endpoint): boolean {
  return needsAbility(endpoint) && endpoint !== "openai-infill";
}

function kindOf({ task, model }: Metered): string {
  return `${task.endpoint} ${model}`;
}
