import { needsAbility } from "../../core/ability.ts";
import { dialectOf } from "../../core/task.ts";
import type { Endpoint, Task } from "../../core/task.ts";
import type { Outcome } from "../../core/outcome.ts";
import { EVENT_BYTES } from "../requests/streamed-tokens.ts";
import type { TaskObserver } from "../requests/task-observer.ts";

/** Share of the newest second in a smoothed rate. */
const NEWEST = 0.3;

/** A rate below this, units per second, counts as none. */
const NOTHING = 0.05;

/** Smoothed rates per second, each with a name. */
export class SmoothedRates {
  #fresh = new Map<string, number>();
  #rates = new Map<string, number>();

  /** Names without any rate are left out. */
  get rates(): ReadonlyMap<string, number> {
    return this.#rates;
  }

  /** @param units below 0 for an estimate that was too high: the seconds to come make up for it */
  add(name: string, units: number): void {
    if (units !== 0) this.#fresh.set(name, (this.#fresh.get(name) ?? 0) + units);
  }

  /** Call once a second. @returns the units of this second, of all names */
  tick(): number {
    let sum = 0;
    const rates = new Map<string, number>();
    const debts = new Map<string, number>();
    for (const name of new Set([...this.#rates.keys(), ...this.#fresh.keys()])) {
      const news = this.#fresh.get(name) ?? 0;
      const units = Math.max(0, news);
      const rate = (this.#rates.get(name) ?? 0) * (1 - NEWEST) + units * NEWEST;
      if (rate >= NOTHING) rates.set(name, rate);
      if (news < 0) debts.set(name, news);
      sum += units;
    }
    this.#rates = rates;
    this.#fresh = debts;
    return sum;
  }
}

/** An exchange as the meter sees it. */
export interface Metered {
  readonly task: Pick<Task, "endpoint" | "stream" | "tenant">;
  /** Model key. */
  readonly model: string;
  /** Bytes of the answer given to the client so far. */
  readonly bytes: number;
  /**
   * Takes the number of tokens so far. Returns the tokens since the last count. The exchange keeps the number: a WeakMap
   * in the meter costs the gateway 3 % of a request.
   */
  countTokens(tokens: number): number;
}

/** Seconds that the meter remembers. */
export const METER_SECONDS = 300;

/** Kinds of streams for which the size per token is remembered. */
const MOST_KINDS = 1000;

/**
 * Tokens per second through this gateway. Tokens of a running stream are estimated from its bytes. The bytes per token are
 * those of earlier streams of its kind. Its usage corrects the count at the end. So the hot path counts bytes only.
 */
export class TokenMeter implements TaskObserver {
  readonly #seconds: number[] = Array<number>(METER_SECONDS).fill(0);
  readonly #bytesPerToken = new Map<string, number>();
  readonly #models: SmoothedRates = new SmoothedRates();
  readonly #tenants: SmoothedRates = new SmoothedRates();

  /** Tokens of each of the last {@link METER_SECONDS} seconds, the newest last. */
  get seconds(): readonly number[] {
    return this.#seconds;
  }

  /** Smoothed tokens per second by model; models without any are left out. */
  get rates(): ReadonlyMap<string, number> {
    return this.#models.rates;
  }

  /** Smoothed tokens per second by tenant; requests without a key are left out. */
  get tenantRates(): ReadonlyMap<string, number> {
    return this.#tenants.rates;
  }

  /** Estimates the tokens given to the client so far. */
  tokensOf(metered: Omit<Metered, "countTokens">): number {
    return Math.round(metered.bytes / this.#sizeOf(metered));
  }

  /** Call once a second with all open exchanges. */
  tick(open: Iterable<Metered>): void {
    for (const metered of open) this.#count(metered, this.tokensOf(metered));
    const sum = this.#models.tick();
    this.#tenants.tick();
    this.#seconds.shift();
    this.#seconds.push(Math.round(sum));
  }

  /** Counts the tokens of an exchange that is over. The usage in the worker's report is the truth. */
  ended(metered: Metered, { end }: Pick<Outcome, "end">): void {
    const usage = end?.usage;
    const tokens = usage?.completionTokens ?? this.tokensOf(metered);
    this.#count(metered, tokens);
    if (usage !== undefined && tokens > 0 && metered.task.stream) this.#learn(metered, tokens);
  }

  #count(metered: Metered, tokens: number): void {
    const fresh = metered.countTokens(tokens);
    this.#models.add(metered.model, fresh);
    const { tenant } = metered.task;
    if (tenant !== undefined) this.#tenants.add(tenant, fresh);
  }

  #learn(metered: Metered, tokens: number): void {
    const kind = kindOf(metered);
    const known = this.#bytesPerToken.get(kind);
    if (known === undefined && this.#bytesPerToken.size >= MOST_KINDS) this.#bytesPerToken.clear();
    const size = metered.bytes / tokens;
    this.#bytesPerToken.set(kind, known === undefined ? size : known * 0.8 + size * 0.2);
  }

  /** A whole answer is not there before its end. */
  #sizeOf(metered: Omit<Metered, "countTokens">): number {
    if (!metered.task.stream || isWordless(metered.task.endpoint)) return Infinity;
    return this.#bytesPerToken.get(kindOf(metered)) ?? EVENT_BYTES[dialectOf(metered.task.endpoint)];
  }
}

/** True where the bytes of an answer are no tokens: sounds, images. */
function isWordless(endpoint: Endpoint): boolean {
  return needsAbility(endpoint) && endpoint !== "openai-infill";
}

function kindOf({ task, model }: Pick<Metered, "task" | "model">): string {
  return `${task.endpoint} ${model}`;
}
