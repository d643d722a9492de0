/** Names of an object that are compared one by one. With more names a set is cheaper. */
const FEW_NAMES = 12;

/** The member names of one object. A few are kept as hashes: strings for all names take twice the time of a scan. */
export class NameSet {
  readonly #bytes: Buffer;
  readonly #hashes: number[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #all: Set<string> | undefined;

  /** @param bytes the text whose names are added */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Adds a name in lower-case ASCII by its range of bytes. False when the set had it. */
  addPlain(hash: number, start: number, end: number): boolean {
    if (this.#all !== undefined || this.#hashes.length === FEW_NAMES || this.#hashes.includes(hash)) {
      return this.add(this.#bytes.toString("latin1", start, end));
    }
    this.#hashes.push(hash);
    this.#starts.push(start);
    this.#ends.push(end);
    return true;
  }

  /** Adds any name. False when the set had it. */
  add(name: string): boolean {
    const all = (this.#all ??= new Set(
      this.#starts.map((start, index) => this.#bytes.toString("latin1", start, this.#ends[index])),
    ));
    return all.size < all.add(name).size;
  }

  clear(): void {
    this.#hashes.length = 0;
    this.#starts.length = 0;
    this.#ends.length = 0;
    this.#all = undefined;
  }
}

/** The FNV-1a hash of no bytes. */
export const HASH_START = 0x811c9dc5;
const HASH_FACTOR = 0x01000193;

/** One step of 32-bit FNV-1a. Names with equal hashes are compared in full, so a collision does no harm. */
export function hashStep(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, HASH_FACTOR);
}

const hashesByNames = new WeakMap<ReadonlySet<string>, ReadonlySet<number>>();

/** The hashes of a set of names, computed once for each set. */
export function hashesOf(names: ReadonlySet<string>): ReadonlySet<number> {
  const known = hashesByNames.get(names);
  if (known !== undefined) return known;
  const hashes = new Set([...names].map((name) => Buffer.from(name, "latin1").reduce(hashStep, HASH_START)));
  hashesByNames.set(names, hashes);
  return hashes;
}
