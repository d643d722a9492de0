/** One timer for any number of streams: a ring of one-millisecond buckets. */

/** Something that wants to be called back at a time. */
export interface Timed {
  /** Called once when due; returns the whole ms from this due time to the next, or 0 for never. */
  due(): number;
}

const BUCKETS = 1024;

interface Entry {
  readonly timed: Timed;
  readonly at: number;
}

/**
 * Calls each member at its due time, at most about a millisecond late on an idle machine. The next due time follows
 * from the last due time, not from the time of the call. A stream thus keeps its pace on a busy machine.
 */
export class TimerWheel {
  readonly #buckets: Entry[][] = Array.from({ length: BUCKETS }, () => []);
  readonly #clock: () => number;
  #members = 0;
  #now = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param clock monotonic time in ms; default: performance.now */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  /** Has `timed` called in `delayMs`, a whole number above 0. */
  add(timed: Timed, delayMs: number): void {
    const now = Math.floor(this.#clock());
    if (this.#members === 0) this.#now = now;
    this.#place({ timed, at: now + delayMs });
    this.#timer ??= setInterval(() => this.turn(), 1);
  }

  /** Calls all that is due. */
  turn(): void {
    const target = Math.floor(this.#clock());
    while (this.#now < target && this.#members > 0) {
      this.#now += 1;
      this.#empty(this.#now % BUCKETS);
    }
    if (this.#members === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #empty(index: number): void {
    const entries = this.#buckets[index] ?? [];
    if (entries.length === 0) return;
    this.#buckets[index] = [];
    for (const entry of entries) {
      const { timed, at } = entry;
      this.#members -= 1;
      if (at > this.#now) {
        this.#place(entry); // its time is a later round of the ring
        continue;
      }
      const again = timed.due();
      if (again > 0) this.#place({ timed, at: Math.max(at + again, this.#now + 1) });
    }
  }

  #place(entry: Entry): void {
    this.#buckets[entry.at % BUCKETS]?.push(entry);
    this.#members += 1;
  }
}
