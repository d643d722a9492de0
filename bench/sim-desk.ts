/** The simulated backend's desk: slots, failures on request, and a book of who came and how it ended. */

import type { Profile } from "./profiles.ts";

/** How the backend behaves from now on, as JSON in `POST /sim/desk`. */
export interface DeskRules {
  /** Requests it answers at once; more get 503. Absent: all. */
  readonly slots?: number;
  /** Answers every request with this error status. */
  readonly status?: number;
  /** Of every reply, in whole ms, instead of its model's: from the request to the first token, and from token to token. */
  readonly firstMs?: number;
  readonly gapMs?: number;
  /** Of a reply whose request does not say how many. */
  readonly tokens?: number;
}

/** One request as the backend saw it; times in ms since 1970, comparable between processes of one machine. */
export interface Visit {
  /** The request's first message: names it. */
  readonly tag: string;
  readonly at: number;
  /** When the reply's last byte was written. */
  ended?: number;
  /** When the connection closed under the reply. */
  left?: number;
}

/** What `GET /sim/desk` answers. */
export interface DeskReport {
  readonly running: number;
  /** Most requests that ran at once. */
  readonly most: number;
  readonly refused: number;
  readonly visits: readonly Visit[];
}

/** Now in ms since 1970, finer than a ms. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Rules and book of one backend from one `POST /sim/desk` to the next. */
export class Desk {
  readonly #rules: DeskRules;
  readonly #visits: Visit[] = [];
  #running = 0;
  #most = 0;
  #refused = 0;

  constructor(rules: DeskRules) {
    this.#rules = rules;
  }

  /** How a model answers by these rules. */
  paced(profile: Profile): Profile {
    const { firstMs = profile.firstMs, gapMs = profile.gapMs, tokens = profile.tokens } = this.#rules;
    return { ...profile, firstMs, gapMs, tokens };
  }

  /** Lets a request in; returns the status of the refusal instead when the rules say so. */
  enter(tag: string): Visit | number {
    const { slots, status } = this.#rules;
    const refusal = status ?? (slots !== undefined && this.#running >= slots ? 503 : undefined);
    if (refusal !== undefined) {
      this.#refused += 1;
      return refusal;
    }
    const visit: Visit = { tag, at: epochMs() };
    this.#visits.push(visit);
    this.#running += 1;
    this.#most = Math.max(this.#most, this.#running);
    return visit;
  }

  /** The reply was written. */
  end(visit: Visit): void {
    visit.ended = epochMs();
    this.#running -= 1;
  }

  /** The connection closed; says nothing of a reply that had ended. */
  leave(visit: Visit): void {
    if (visit.ended !== undefined) return;
    visit.left = epochMs();
    this.#running -= 1;
  }

  /** The book so far. */
  report(): DeskReport {
    return { running: this.#running, most: this.#most, refused: this.#refused, visits: this.#visits };
  }
}
