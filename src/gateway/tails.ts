import { setTimeout as delay } from "node:timers/promises";

/** The last bytes of one reply, that wait for room in its socket. */
export interface Tail {
  /** So many bytes are left. */
  left(bytes: number): void;
  /** The socket has taken all, or is gone. */
  end(): void;
}

/** A tail, as {@link Tails} sees it. */
export interface WaitingTail {
  readonly bytes: number;
  /** Mono ms when its client last took something. */
  readonly movedAt: number;
  /** Hangs up. */
  cut(): void;
}

/**
 * Knows replies that are over for their senders, while their last bytes wait for room in their sockets: a server
 * that closes would drop these, and a client that reads nothing keeps them in memory.
 */
export class Tails {
  readonly #open = new Set<WaitingTail>();
  readonly #mono: () => number;
  #bytes = 0;
  /** Ends the wait for none. */
  #none: AbortController | undefined;

  /** @param mono ms, monotonic */
  constructor(mono: () => number) {
    this.#mono = mono;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get waiting(): Iterable<WaitingTail> {
    return this.#open;
  }

  begin(bytes: number, cut: () => void): Tail {
    const tail = { bytes, movedAt: this.#mono(), cut };
    this.#open.add(tail);
    this.#bytes += bytes;
    return {
      left: (rest) => {
        if (rest === tail.bytes || !this.#open.has(tail)) return;
        this.#bytes += rest - tail.bytes;
        tail.bytes = rest;
        tail.movedAt = this.#mono();
      },
      end: () => {
        if (!this.#open.delete(tail)) return;
        this.#bytes -= tail.bytes;
        if (this.#open.size === 0) this.#none?.abort();
      },
    };
  }

  /** Resolves when there is none, or after `limitMs`. */
  async none(limitMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    this.#none = new AbortController();
    await delay(limitMs, undefined, { signal: this.#none.signal }).catch(() => undefined);
  }
}
