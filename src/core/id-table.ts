const SMALLEST = 64;

/**
 * A map from ids to what lives for a moment only, as tasks do. V8's Map moves to a new table whenever its own has taken
 * in as many as it has room for, and the old one keeps all that it held and points to the new one. Once one such table
 * is old, the collector of the young finds every later one alive, and with it whatever was in hand at each move: a
 * worker kept 4,905 instead of 206 bytes of each task until the next full collection, and collecting took 24 instead of
 * 6 us per task (docs/performance.md). This one stays where it is, and what is deleted leaves nothing behind.
 *
 * Open addressing with linear probing. It never shrinks.
 */
export class IdTable<Value extends object> {
  #ids: (string | undefined)[] = emptyOf(SMALLEST);
  #values: (Value | undefined)[] = emptyOf(SMALLEST);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: string): Value | undefined {
    return this.#values[this.#placeOf(id)];
  }

  set(id: string, value: Value): void {
    let place = this.#placeOf(id);
    if (this.#ids[place] === undefined) {
      this.#size += 1;
      if (this.#size * 2 > this.#ids.length) {
        this.#grow();
        place = this.#placeOf(id);
      }
      this.#ids[place] = id;
    }
    this.#values[place] = value;
  }

  /** True when it was there. */
  delete(id: string): boolean {
    const place = this.#placeOf(id);
    if (this.#ids[place] === undefined) return false;
    this.#size -= 1;
    this.#empty(place);
    return true;
  }

  /** All that are there now, in no order. */
  values(): Value[] {
    return this.#values.filter((value) => value !== undefined);
  }

  /** Where an id is, or would be put. */
  #placeOf(id: string): number {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let place = hashOf(id) & mask;
    for (;;) {
      const there = ids[place];
      if (there === undefined || there === id) return place;
      place = (place + 1) & mask;
    }
  }

  /** Moves those behind it up that would no longer be found. */
  #empty(gap: number): void {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let place = gap;
    for (;;) {
      place = (place + 1) & mask;
      const id = ids[place];
      if (id === undefined) break;
      const wanted = hashOf(id) & mask;
      if (((place - wanted) & mask) < ((place - gap) & mask)) continue;
      ids[gap] = id;
      this.#values[gap] = this.#values[place];
      gap = place;
    }
    ids[gap] = undefined;
    this.#values[gap] = undefined;
  }

  #grow(): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#ids = emptyOf(ids.length * 2);
    this.#values = emptyOf(ids.length * 2);
    for (const [place, id] of ids.entries()) {
      if (id === undefined) continue;
      const to = this.#placeOf(id);
      this.#ids[to] = id;
      this.#values[to] = values[place];
    }
  }
}

function emptyOf<Item>(length: number): (Item | undefined)[] {
  return Array.from<Item | undefined>({ length }).fill(undefined);
}

/** As many characters at the end of an id tell it from others: what is before them is the same for many tasks. */
const TELLING = 8;

/** FNV-1a, 32 bits. */
function hashOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = Math.max(0, id.length - TELLING); at < id.length; at += 1)
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  return hash ^ (hash >>> 15);
}
