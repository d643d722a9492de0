/** Simulated time: future actions in the order of their due times. No code here reads a clock. */

/** Something that is to happen; may be called off until it has. */
export interface ScheduledEvent {
  cancel(): void;
}

interface Entry {
  readonly dueMs: number;
  /** Tells those of one time apart: first made, first done. */
  readonly order: number;
  /** Undefined once called off. */
  action: (() => void) | undefined;
}

/** A queue of appointments on a clock that only {@link advance} moves. */
export class Timeline {
  readonly #heap: Entry[] = [];
  #nowMs = 0;
  #order = 0;

  /** Simulated ms since the start; within an action, the time it was due. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** When the next action is due, in simulated ms; undefined when nothing is to happen. */
  get nextMs(): number | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.action !== undefined) return first.dueMs;
      this.#pop();
    }
    return undefined;
  }

  /** Schedules `action` in `delayMs`. An action in the past is due now. */
  after(delayMs: number, action: () => void): ScheduledEvent {
    const entry: Entry = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, action };
    this.#order += 1;
    this.#push(entry);
    return {
      cancel: () => {
        entry.action = undefined;
      },
    };
  }

  /** Does all that is due until `toMs`, in order, and stands at `toMs` then; a time in the past changes nothing. */
  advance(toMs: number): void {
    for (let next = this.nextMs; next !== undefined && next <= toMs; next = this.nextMs) {
      const entry = this.#pop();
      this.#nowMs = Math.max(this.#nowMs, next);
      entry?.action?.();
    }
    this.#nowMs = Math.max(this.#nowMs, toMs);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const child = this.#lesserChild(at);
      const below = heap[child];
      if (below === undefined || !isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  #lesserChild(at: number): number {
    const left = 2 * at + 1;
    const [one, other] = [this.#heap[left], this.#heap[left + 1]];
    return one !== undefined && other !== undefined && isBefore(other, one) ? left + 1 : left;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
