import { setTimeout as delay } from "node:timers/promises";

import type { NativeResponse } from "./uws.ts";

/** The last bytes of one reply, which wait for room in its socket. */
export interface PendingWrite {
  /** Sets the bytes that are left. */
  left(bytes: number): void;
  /** The socket has taken all, or is gone. */
  end(): void;
}

/** A pending write, as {@link PendingWrites} lists it. */
export interface WaitingWrite {
  readonly bytes: number;
  /** Mono ms when its client last took something. */
  readonly movedAt: number;
  /** Cuts the connection. */
  cut(): void;
}

/**
 * Knows replies that are over for their senders while their last bytes wait for room in their sockets. A server that
 * closes would drop these bytes. A client that reads nothing keeps them in memory.
 */
export class PendingWrites {
  readonly #open = new Set<WaitingWrite>();
  readonly #mono: () => number;
  #bytes = 0;
  /** Ends the wait of {@link none}. */
  #none: AbortController | undefined;

  /** @param mono ms, monotonic */
  constructor(mono: () => number) {
    this.#mono = mono;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get waiting(): Iterable<WaitingWrite> {
    return this.#open;
  }

  begin(bytes: number, cut: () => void): PendingWrite {
    const write = { bytes, movedAt: this.#mono(), cut };
    this.#open.add(write);
    this.#bytes += bytes;
    return {
      left: (rest) => {
        if (rest === write.bytes || !this.#open.has(write)) return;
        this.#bytes += rest - write.bytes;
        write.bytes = rest;
        write.movedAt = this.#mono();
      },
      end: () => {
        if (!this.#open.delete(write)) return;
        this.#bytes -= write.bytes;
        if (this.#open.size === 0) this.#none?.abort();
      },
    };
  }

  /**
   * Sends the body of an answer as the socket takes it; status and headers must have been written. Native code would
   * copy the rest and give no sign when it is gone. Returns undefined when the socket took all at once.
   */
  sendBody(res: NativeResponse, body: Buffer): PendingWrite | undefined {
    const [, isDone] = res.tryEnd(body, body.length);
    if (isDone) return undefined;
    const write = this.begin(body.length - res.getWriteOffset(), () => res.close());
    res.onWritable((offset) => {
      write.left(body.length - offset);
      const [hasRoom, isAll] = res.tryEnd(body.subarray(offset), body.length);
      if (isAll) write.end();
      return hasRoom;
    });
    return write;
  }

  /** Resolves when no write waits, or after `limitMs`. */
  async none(limitMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    this.#none = new AbortController();
    await delay(limitMs, undefined, { signal: this.#none.signal }).catch(() => undefined);
  }
}
