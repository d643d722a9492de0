/** Collects the body of a request, in memory that grows with what has come. */
import type { NativeResponse } from "./uws.ts";

/** Why a body is not handed over; `crumbs`: it comes in too many pieces for its size. */
export type BodyRefusal = "too-large" | "no-room" | "crumbs";

export interface CollectOptions {
  /** Bytes the client has told; undefined for a chunked body. */
  readonly length: number | undefined;
  readonly maxBytes: number;
  /** Asked about each growth of the memory that is held, in bytes; false when there is no room for it. */
  readonly takes: (bytes: number) => boolean;
  readonly done: (body: Buffer | BodyRefusal) => void;
}

/**
 * A chunk of one byte costs six on the wire and some 2 µs here, as much as a thousand bytes in one piece. A body may
 * have so many pieces, and one more for each {@link BYTES_PER_PIECE} of it.
 */
const FREE_PIECES = 4096;
const BYTES_PER_PIECE = 16;

/**
 * Collects a body and hands it over once, in a buffer of its own: the native memory of a chunk is gone when its
 * callback returns. Hands over why not instead, once, as soon as it is known.
 */
export function collectBody(res: NativeResponse, { length, maxBytes, takes, done }: CollectOptions): void {
  const gathered = new Gathered(length, { maxBytes, takes });
  let pieces = 0;
  let over = false;
  const refuse = (why: BodyRefusal): void => {
    over = true;
    gathered.drop();
    done(why);
  };
  res.onData((chunk, isLast) => {
    if (over) return;
    const bytes = new Uint8Array(chunk);
    const size = gathered.size + bytes.length;
    pieces += 1;
    if (size > maxBytes) refuse("too-large");
    else if (pieces > FREE_PIECES + size / BYTES_PER_PIECE) refuse("crumbs");
    else if (!gathered.add(bytes)) refuse("no-room");
    else if (isLast) done(gathered.take());
  });
}

/** How the memory of a body grows, where its length was told and where not: a copy of 64 MB would take 20 ms. */
const GROWTH_TOLD = 4;
const GROWTH = 2;

const NO_BYTES = Buffer.alloc(0);

/**
 * The pieces of one body, joined. The memory is multiplied when it is full, up to the size that was told or is allowed:
 * what is only announced takes none, and no piece has an object of its own. Old memory is freed at once.
 */
class Gathered {
  size = 0;
  readonly #most: number;
  readonly #growth: number;
  readonly #takes: (bytes: number) => boolean;
  #memory: Buffer = NO_BYTES;

  constructor(length: number | undefined, { maxBytes, takes }: Pick<CollectOptions, "maxBytes" | "takes">) {
    this.#most = length ?? maxBytes;
    this.#growth = length === undefined ? GROWTH : GROWTH_TOLD;
    this.#takes = takes;
  }

  /** False when there is no room. */
  add(bytes: Uint8Array): boolean {
    const size = this.size + bytes.length;
    if (size > this.#memory.length && !this.#grow(size)) return false;
    this.#memory.set(bytes, this.size);
    this.size = size;
    return true;
  }

  take(): Buffer {
    return this.#memory.subarray(0, this.size);
  }

  drop(): void {
    free(this.#memory);
    this.#memory = NO_BYTES;
  }

  #grow(size: number): boolean {
    const held = this.#memory.length;
    const next = Math.max(size, Math.min(this.#growth * held, this.#most));
    if (!this.#takes(next - held)) return false;
    const memory = allocated(next);
    if (memory === undefined) return false;
    memory.set(this.#memory.subarray(0, this.size));
    this.drop();
    this.#memory = memory;
    return true;
  }
}

/**
 * Bodies up to this size, bytes, share blocks of memory: a block of its own for each takes 0.6 us, and as long again to
 * collect. Less than half of Buffer.poolSize, as Buffer.allocUnsafe asks for.
 */
const POOLED_BYTES = 2048;

/** Undefined when the system has no such memory: that is the end of one request, not of the process. */
function allocated(bytes: number): Buffer | undefined {
  try {
    return bytes <= POOLED_BYTES ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
  } catch {
    return undefined;
  }
}

/** Gives the memory back now, not when the collector of garbage comes by. */
function free(memory: Buffer): void {
  if (memory.length > POOLED_BYTES) (memory.buffer as ArrayBuffer).transfer(0);
}
