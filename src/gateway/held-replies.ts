import { Fault } from "../core/fault.ts";
import { Allowance } from "./allowance.ts";
import type { Exchange } from "./exchange.ts";
import type { Tails, WaitingTail } from "./tails.ts";

/** From this share of the bound on new requests are refused. */
const NEARLY_FULL = 0.75;

/** Near the bound a client that has taken nothing for so long, ms, makes room for those that wait, or are refused. */
const IDLE_MS = 5000;

export interface HeldRepliesOptions {
  /** Bytes. */
  readonly limit: number;
  readonly mono: () => number;
  /** Replies that are over, but for their last bytes in this process's memory. */
  readonly tails: Tails;
  /** Exchanges that are open; their waiting bytes lie in Redis. */
  readonly exchanges: () => Iterable<Exchange>;
  /** Called for each client that is cut. */
  readonly onCut: () => void;
}

/**
 * Bounds what the replies of all clients together hold, in this process and in Redis. Each is bounded by itself, but
 * clients that ask for much and read nothing are many. Near the bound new requests are refused and large answers are
 * left with their workers; then, and at the bound, the client that holds most, and takes nothing, is cut.
 */
export class HeldReplies {
  readonly #options: HeldRepliesOptions;
  /** Knows how quickly there is room again. */
  readonly #allowance: Allowance;
  /** Bytes of open replies that wait in Redis, as of the last look. */
  #behind = 0;
  /** Someone waits for room since the last look. */
  #wanted = false;

  constructor(options: HeldRepliesOptions) {
    this.#options = options;
    this.#allowance = new Allowance(options.limit, options.mono);
  }

  /** Bytes in this process's memory. */
  get here(): number {
    return this.#options.tails.bytes;
  }

  /** Bytes in Redis that are known to wait for slow clients. */
  get behind(): number {
    return this.#behind;
  }

  /** `replies_full` when no new request should be taken, else undefined. */
  refusal(): Fault | undefined {
    const { limit } = this.#options;
    const used = this.#used();
    if (used < limit * NEARLY_FULL) return undefined;
    // Else a few who read nothing shut out all others for as long as they stay.
    this.#wanted = true;
    const retryAfter = this.#allowance.waitFor(Math.max(1, used - limit * NEARLY_FULL));
    return new Fault(
      "replies_full",
      "server busy, please try again.  too many answers wait for their clients",
      {
        retryAfter,
      },
    );
  }

  /** Whether a large reply may be fetched from Redis. One that may not is asked for again; who is slow makes room. */
  hasRoom(): boolean {
    if (this.#used() < this.#options.limit) return true;
    this.#wanted = true;
    return false;
  }

  /** To be called twice a second: cuts who keeps others waiting. */
  look(): void {
    const { exchanges, limit } = this.#options;
    this.#behind = 0;
    const slow: Exchange[] = [];
    for (const exchange of exchanges()) {
      if (exchange.behind === 0) continue;
      this.#behind += exchange.behind;
      if (exchange.stalled) slow.push(exchange);
    }
    // Measures the pace, too: of what is held less than before, the rest has been taken.
    this.#used();
    if (this.#used() > limit) this.#cut(slow, 0);
    else if (this.#wanted) this.#cut(slow, IDLE_MS);
    this.#wanted = false;
  }

  #used(): number {
    const used = this.here + this.#behind;
    const change = used - this.#allowance.used;
    if (change > 0) this.#allowance.take(change);
    else if (change < 0) this.#allowance.give(-change);
    return used;
  }

  /** Cuts the largest first, until new requests are taken again; of those that have taken something lately none. */
  #cut(slow: readonly Exchange[], idleMs: number): void {
    const { limit, mono, tails, onCut } = this.#options;
    const since = mono() - idleMs;
    const held: readonly WaitingTail[] = [...tails.waiting, ...slow.map(tailOf)]
      .filter(({ movedAt }) => movedAt <= since)
      .toSorted((one, other) => other.bytes - one.bytes);
    let used = this.#used();
    for (const tail of held) {
      if (used < limit * NEARLY_FULL) return;
      used -= tail.bytes;
      tail.cut();
      onCut();
    }
  }
}

function tailOf(exchange: Exchange): WaitingTail {
  return {
    bytes: exchange.behind,
    movedAt: exchange.wroteAt,
    cut: () => {
      exchange.fail(new Fault("slow_client", "the client took nothing, and others wait for room"));
    },
  };
}
