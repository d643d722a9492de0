/** Collects the bodies of requests, in memory that grows with the bytes that arrive and within a quota. */
import type { ByteQuota } from "./byte-quota.ts";
import type { Handler } from "./http.ts";
import type { UwsReply } from "./reply.ts";

/** Why a body is refused; `too-many-pieces`: it comes in too many pieces for its size. */
export type BodyRefusal = "too-large" | "no-room" | "too-many-pieces";

/**
 * Parsing a body of 10 MB takes some 20 ms, in which the event loop serves no other request. Each turn of the event
 * loop handles one body above this size (bytes).
 */
const LARGE_BYTES = 1024 * 1024;

/**
 * Pieces that every body may have, and bytes that allow one piece more. A chunk of one byte costs six on the wire and
 * some 2 µs here. A thousand bytes in one piece cost as much.
 */
const FREE_PIECES = 4096;
const BYTES_PER_PIECE = 16;

export class BodyCollector {
  readonly #maxBytes: number;
  readonly #quota: ByteQuota | undefined;
  /** Requests with large bodies that wait for their turn. */
  #large: (() => void)[] = [];

  /**
   * @param maxBytes largest body
   * @param quota bounds all bodies together; they have no bound without it
   */
  constructor(maxBytes: number, quota: ByteQuota | undefined) {
    this.#maxBytes = maxBytes;
    this.#quota = quota;
  }

  /** Returns false when there is no room for this many bytes more. */
  fits(bytes: number): boolean {
    return this.#quota?.fits(bytes) ?? true;
  }

  /** Returns whole seconds until there is room again, for a body that was refused; undefined without a quota. */
  waitFor(bytes: number = LARGE_BYTES): number | undefined {
    return this.#quota?.waitFor(bytes);
  }

  /**
   * Collects a body and passes it on once, in a buffer of its own: the native memory of a chunk is gone when its
   * callback returns. Passes on the reason of a refusal instead, once, as soon as it is known. Memory counts against
   * the quota as it is used, until the reply is over. Announced lengths do not count: 16 clients that announce 64 MiB
   * and send nothing would shut out all others.
   * @param length bytes that the request announces; undefined for a chunked body
   */
  collect(reply: UwsReply, length: number | undefined, onDone: (body: Buffer | BodyRefusal) => void): void {
    const body = new GrowingBuffer(length, this.#maxBytes, (bytes) => this.#count(reply, bytes));
    let pieces = 0;
    let isOver = false;
    const refuse = (why: BodyRefusal): void => {
      isOver = true;
      body.drop();
      onDone(why);
    };
    reply.native.onData((chunk, isLast) => {
      if (isOver) return;
      const bytes = new Uint8Array(chunk);
      const size = body.size + bytes.length;
      pieces += 1;
      if (size > this.#maxBytes) refuse("too-large");
      else if (pieces > FREE_PIECES + size / BYTES_PER_PIECE) refuse("too-many-pieces");
      else if (!body.add(bytes)) refuse("no-room");
      else if (isLast) onDone(body.take());
    });
  }

  /** Returns the handler of a request with a whole body of this size: itself, or one that waits for its turn. */
  inTurn(bytes: number, handler: Handler): Handler {
    if (bytes <= LARGE_BYTES) return handler;
    return (request, reply) => {
      this.#large.push(() => {
        if (!reply.isGone) handler(request, reply);
      });
      if (this.#large.length === 1) setImmediate(this.#nextLarge);
    };
  }

  readonly #nextLarge = (): void => {
    this.#large[0]?.();
    this.#large.shift();
    if (this.#large.length > 0) setImmediate(this.#nextLarge);
  };

  /** Counts bytes of a body until its reply is over; returns false when there is no room for them. */
  #count(reply: UwsReply, bytes: number): boolean {
    if (this.#quota === undefined || bytes === 0) return true;
    if (!this.#quota.fits(bytes)) return false;
    reply.countBody(this.#quota, bytes);
    return true;
  }
}

/** Factors by which the memory of a body grows, with a known length and without: a copy of 64 MB would take 20 ms. */
const GROWTH_KNOWN = 4;
const GROWTH = 2;

const NO_BYTES = Buffer.alloc(0);

/**
 * The pieces of one body, joined. Full memory is multiplied, up to the announced or the allowed size. Bytes that are
 * only announced take none, and no piece has an object of its own. Old memory is freed at once.
 */
class GrowingBuffer {
  #size = 0;
  readonly #maxBytes: number;
  readonly #growth: number;
  readonly #takes: (bytes: number) => boolean;
  #memory: Buffer = NO_BYTES;

  /** @param takes called with each growth of the memory (bytes); returns false when there is no room for it */
  constructor(length: number | undefined, maxBytes: number, takes: (bytes: number) => boolean) {
    this.#maxBytes = length ?? maxBytes;
    this.#growth = length === undefined ? GROWTH : GROWTH_KNOWN;
    this.#takes = takes;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns false when there is no room. */
  add(bytes: Uint8Array): boolean {
    const size = this.#size + bytes.length;
    if (size > this.#memory.length && !this.#grow(size)) return false;
    this.#memory.set(bytes, this.#size);
    this.#size = size;
    return true;
  }

  take(): Buffer {
    return this.#memory.subarray(0, this.#size);
  }

  drop(): void {
    free(this.#memory);
    this.#memory = NO_BYTES;
  }

  #grow(size: number): boolean {
    const before = this.#memory.length;
    const next = Math.max(size, Math.min(this.#growth * before, this.#maxBytes));
    if (!this.#takes(next - before)) return false;
    const memory = allocated(next);
    if (memory === undefined) return false;
    memory.set(this.#memory.subarray(0, this.#size));
    this.drop();
    this.#memory = memory;
    return true;
  }
}

/**
 * Bodies up to this size (bytes) share blocks of memory. A block of its own takes 0.6 µs to make and as long to collect.
 * The size is below half of Buffer.poolSize, as Buffer.allocUnsafe needs.
 */
const POOLED_BYTES = 2048;

/** Returns undefined when the system has no such memory: that ends one request, not the process. */
function allocated(bytes: number): Buffer | undefined {
  try {
    return bytes <= POOLED_BYTES ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
  } catch {
    return undefined;
  }
}

/** Frees the memory now, before the garbage collector does. */
function free(memory: Buffer): void {
  if (memory.length > POOLED_BYTES) (memory.buffer as ArrayBuffer).transfer(0);
}
