const SMALLEST = 64;

/**
 * A map for short-lived entries, such as tasks by id. V8's Map moves to a new table when its table is full of live
 * and deleted entries. The old table keeps its entries and points to the new one. Once a table reaches the old generation, the young collector keeps all later tables alive, with their entries. A worker then kept
 * 4,905 instead of 206 bytes of each task until the next full collection. Collection took 24 instead of 6 us per task
 * (docs/performance.md).
 *
 * This table uses open addressing with linear probing. It never moves but to grow, never shrinks, and clears deleted
 * entries.
 */
export class IdTable<Value extends object> {
  #ids: (string | undefined)[] = emptyOf(SMALLEST);
  #values: (Value | undefined)[] = emptyOf(SMALLEST);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: string): Value | undefined {
    return this.#values[this.#slotOf(id)];
  }

  set(id: string, value: Value): void {
    let slot = this.#slotOf(id);
    if (this.#ids[slot] === undefined) {
      this.#size += 1;
      if (this.#size * 2 > this.#ids.length) {
        this.#grow();
        slot = this.#slotOf(id);
      }
      this.#ids[slot] = id;
    }
    this.#values[slot] = value;
  }

  /** Returns true when the id was present. */
  delete(id: string): boolean {
    const slot = this.#slotOf(id);
    if (this.#ids[slot] === undefined) return false;
    this.#size -= 1;
    this.#empty(slot);
    return true;
  }

  /** All values, in no order. */
  values(): Value[] {
    return this.#values.filter((value) => value !== undefined);
  }

  /** The slot of an id, or the slot that it would get. */
  #slotOf(id: string): number {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let slot = hashOf(id) & mask;
    for (;;) {
      const there = ids[slot];
      if (there === undefined || there === id) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** Moves entries up that would no longer be found behind the gap. */
  #empty(gap: number): void {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let slot = gap;
    for (;;) {
      slot = (slot + 1) & mask;
      const id = ids[slot];
      if (id === undefined) break;
      const wanted = hashOf(id) & mask;
      if (((slot - wanted) & mask) < ((slot - gap) & mask)) continue;
      ids[gap] = id;
      this.#values[gap] = this.#values[slot];
      gap = slot;
    }
    ids[gap] = undefined;
    this.#values[gap] = undefined;
  }

  #grow(): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#ids = emptyOf(ids.length * 2);
    this.#values = emptyOf(ids.length * 2);
    for (const [slot, id] of ids.entries()) {
      if (id === undefined) continue;
      const to = this.#slotOf(id);
      this.#ids[to] = id;
      this.#values[to] = values[slot];
    }
  }
}

function emptyOf<Item>(length: number): (Item | undefined)[] {
  return Array.from<Item | undefined>({ length }).fill(undefined);
}

/** Characters hashed at the end of an id. Many tasks share what comes before. */
const COMPARED = 8;

/** FNV-1a, 32 bits. */
function hashOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = Math.max(0, id.length - COMPARED); at < id.length; at += 1)
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  return hash ^ (hash >>> 15);
}
