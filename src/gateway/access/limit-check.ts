import type { Principal } from "../../core/access/principal.ts";
import type { Usage } from "../../core/usage.ts";

/** A request of a principal, as the limits see it. */
export interface LimitRequest {
  readonly principal: Principal;
  /** Model key. */
  readonly model: string;
  /** Estimated input tokens. */
  readonly inputTokens: number;
  /** Estimated output tokens. */
  readonly outputTokens: number;
}

/** The share of its limits that one request took. Its holder calls exactly one of both functions, once. */
export interface Charge {
  /**
   * The request is over.
   * @param usage its real tokens; undefined when no worker reported any
   */
  settle(usage: Usage | undefined): void;
  /** The request was refused after all: everything is given back. */
  refund(): void;
  /** Values of the header `x-sgnet-warning`; absent without any. */
  readonly warnings?: readonly string[];
}

/** The state of one limit, for headers. */
export interface LimitState {
  readonly limit: "requests" | "inputTokens" | "outputTokens";
  /** Units per minute. */
  readonly perMinute: number;
  /** Units that may be used now. */
  readonly remaining: number;
  /** Ms until all units of the burst are there again. */
  readonly resetMs: number;
}

/** One kind of limit. */
export interface LimitCheck {
  /**
   * Takes what a request needs. Returns undefined when no limit of this kind applies: then it costs nothing. A promise
   * only where Redis must be asked. Throws or rejects with a Fault, and has then taken nothing.
   */
  charge(request: LimitRequest): Charge | Promise<Charge> | undefined;
  /** The limits that headers show. */
  states(principal: Principal): readonly LimitState[];
}
