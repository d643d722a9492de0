import type { KeyLimits } from "../../core/access/key-limits.ts";
import type { Principal } from "../../core/access/principal.ts";
import type { RequestSize } from "../../protocols/request-size.ts";
import type { Charge, LimitRequest } from "../access/limit-check.ts";

/** Tokens of an answer before any was seen. */
const FIRST_MEAN = 256;
/** Weight of one answer in the moving average. */
const WEIGHT = 1 / 8;
/** Most averages that are kept. The one that was not used for the longest time goes. */
const MOST_MEANS = 10_000;

const NO_TOKENS = { inputTokens: 0, outputTokens: 0 };

/** True when tokens of these rights are limited: then the size of a request matters. */
export function countsTokens({ key, tenant }: Principal): boolean {
  if (key === undefined) return false;
  return limitsTokens(key) || (tenant !== undefined && limitsTokens(tenant));
}

function limitsTokens({ itpm, otpm, budgetDay, budgetMonth }: KeyLimits): boolean {
  return itpm !== undefined || otpm !== undefined || budgetDay !== undefined || budgetMonth !== undefined;
}

/** A request whose tokens are to be estimated. */
export interface SizedRequest {
  readonly principal: Principal;
  /** Model key. */
  readonly model: string;
  /** Absent for a request whose tokens nothing limits. */
  readonly size?: RequestSize | undefined;
}

/** Estimates the tokens of requests, from their size and from earlier answers of the same tenant and model. */
export class TokenEstimates {
  /** Mean tokens of an answer, by tenant and model. The last one used is last. */
  readonly #means = new Map<string, number>();

  of({ principal, model, size }: SizedRequest): Pick<LimitRequest, "inputTokens" | "outputTokens"> {
    if (size === undefined) return NO_TOKENS;
    const mean = this.#means.get(nameOf(principal, model)) ?? FIRST_MEAN;
    const each = Math.min(size.mostOutput ?? Infinity, Math.ceil(mean));
    return { inputTokens: size.inputTokens, outputTokens: size.answers * each };
  }

  /** Returns a charge that also lets the next estimates know of its answer. */
  learning(charge: Charge, { principal, model, size }: SizedRequest): Charge {
    const answers = size?.answers ?? 0;
    if (answers === 0) return charge;
    return {
      settle: (usage) => {
        charge.settle(usage);
        const tokens = usage?.completionTokens ?? 0;
        if (tokens > 0) this.#learn(nameOf(principal, model), tokens / answers);
      },
      refund: () => {
        charge.refund();
      },
    };
  }

  #learn(name: string, tokens: number): void {
    const mean = this.#means.get(name) ?? FIRST_MEAN;
    this.#means.delete(name);
    this.#means.set(name, mean + (tokens - mean) * WEIGHT);
    if (this.#means.size <= MOST_MEANS) return;
    const [oldest] = this.#means.keys();
    if (oldest !== undefined) this.#means.delete(oldest);
  }
}

function nameOf({ key }: Principal, model: string): string {
  return `${key?.tenant ?? ""}\n${model}`;
}
