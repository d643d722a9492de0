/** State of the simulated backend: slots, failures on request, and a log of its requests. */

import type { Profile } from "./profiles.ts";

/** Behaviour of the backend from now on, as JSON in `POST /sim/log`. */
export interface SimRules {
  /** Requests it answers at once; more get 503. Absent: all. */
  readonly slots?: number;
  /** Answers every request with this error status. */
  readonly status?: number;
  /** Timing of each reply in whole ms, instead of its model's: to the first token, and between tokens. */
  readonly firstMs?: number;
  readonly gapMs?: number;
  /** Tokens of a reply whose request gives no number. */
  readonly tokens?: number;
}

/** One request as the backend saw it; times in ms since 1970, comparable between processes of one machine. */
export interface SimRequestLog {
  /** The request's first message: names it. */
  readonly tag: string;
  readonly at: number;
  /** When the reply's last byte was written. */
  ended?: number;
  /** When the connection closed under the reply. */
  left?: number;
}

/** Reply to `GET /sim/log`. */
export interface SimReport {
  readonly running: number;
  /** Most requests that ran at once. */
  readonly most: number;
  readonly refused: number;
  readonly visits: readonly SimRequestLog[];
}

/** Now in ms since 1970, finer than a ms. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Rules and request log of one backend, from one `POST /sim/log` to the next. */
export class SimLog {
  readonly #rules: SimRules;
  readonly #visits: SimRequestLog[] = [];
  #running = 0;
  #most = 0;
  #refused = 0;

  constructor(rules: SimRules) {
    this.#rules = rules;
  }

  /** The timing of a model under these rules. */
  paced(profile: Profile): Profile {
    const { firstMs = profile.firstMs, gapMs = profile.gapMs, tokens = profile.tokens } = this.#rules;
    return { ...profile, firstMs, gapMs, tokens };
  }

  /** Accepts a request, or returns the status of its refusal when the rules demand one. */
  enter(tag: string): SimRequestLog | number {
    const { slots, status } = this.#rules;
    const refusal = status ?? (slots !== undefined && this.#running >= slots ? 503 : undefined);
    if (refusal !== undefined) {
      this.#refused += 1;
      return refusal;
    }
    const visit: SimRequestLog = { tag, at: epochMs() };
    this.#visits.push(visit);
    this.#running += 1;
    this.#most = Math.max(this.#most, this.#running);
    return visit;
  }

  /** The reply was written. */
  end(visit: SimRequestLog): void {
    visit.ended = epochMs();
    this.#running -= 1;
  }

  /** The connection closed. A reply that had ended is not affected. */
  leave(visit: SimRequestLog): void {
    if (visit.ended !== undefined) return;
    visit.left = epochMs();
    this.#running -= 1;
  }

  /** The log so far. */
  report(): SimReport {
    return { running: this.#running, most: this.#most, refused: this.#refused, visits: this.#visits };
  }
}
