/** Memory of an entry besides its value (bytes): the entry itself, its key, timers of promises. */
const OVERHEAD = 512;

interface Entry<Value> {
  readonly value: Value;
  readonly bytes: number;
}

/** Keeps the newest values that fit into a number of bytes. Keys are short, or digests. */
export class ByteCache<Value> {
  readonly #limit: number;
  /** Oldest first. */
  readonly #entries = new Map<string, Entry<Value>>();
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Memory in use (bytes). */
  get used(): number {
    return this.#used;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Keeps a value, unless it alone takes more than a quarter of the limit: it would evict all others. */
  set(key: string, value: Value, size: number): void {
    this.delete(key);
    const bytes = size + 2 * key.length + OVERHEAD;
    if (bytes > this.#limit / 4) return;
    this.#entries.set(key, { value, bytes });
    this.#used += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#used <= this.#limit) break;
      this.delete(oldest);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#used = 0;
  }

  delete(key: string): void {
    this.#used -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}
