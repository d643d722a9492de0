/**
 * Looks at the member names of a JSON text without building its value. `JSON.parse` cannot tell that a name comes twice:
 * it keeps the last one. Servers read such a body otherwise: Go's `encoding/json` takes `Stream` for `stream` and keeps
 * the last, others keep the first. One pass over the bytes; docs/decisions/0035 has what it costs.
 */

/** Which names mean what. */
export interface MemberRules {
  /** Names that are read wherever they stand: they have to be written so, not in capitals and not with escapes. */
  readonly known: ReadonlySet<string>;
  /** Names of objects whose members are the client's own: there `id` and `ID` are two names. */
  readonly free: ReadonlySet<string>;
  /** Of these, names of lists, too: the objects in them are the client's own. Absent: none. */
  readonly freeLists?: ReadonlySet<string>;
}

/** How large a text may be; what is absent has no bound. */
export interface MemberLimits {
  readonly members?: number;
  /** Members, elements of arrays, and objects and arrays themselves. */
  readonly values?: number;
  readonly depth?: number;
}

export interface OddMember {
  /** `repeated`: the same object has the name, perhaps in other case. `respelt`: a known name in another spelling. */
  readonly kind: "repeated" | "respelt";
  /** As it would be read, at most {@link MOST_SHOWN} characters. */
  readonly name: string;
  /** As it should be written: lower case. */
  readonly plain: string;
}

export interface MemberScan {
  readonly members: number;
  /** About the number of values: all commas, objects and arrays. */
  readonly values: number;
  readonly depth: number;
  /** The first one found; the scan ends there. */
  readonly odd: OddMember | undefined;
  /** The first bound that was passed; the scan ends there. */
  readonly passed: keyof MemberLimits | undefined;
}

/** Most characters of a name that are shown. */
const MOST_SHOWN = 64;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const FIRST_CAPITAL = 0x41;
const LAST_CAPITAL = 0x5a;
const LAST_ASCII = 0x7f;

/**
 * Scans the first JSON value of a text in UTF-8. A text that is no JSON is scanned as far as it looks like JSON: reading
 * it is what tells.
 */
export function scanMembers(bytes: Buffer, rules: MemberRules, limits: MemberLimits = {}): MemberScan {
  const scanner = new MemberScanner(bytes, rules, limits);
  scanner.run();
  return scanner;
}

/**
 * A name as Go's `encoding/json` compares it: ASCII letters without case, and the two letters beyond ASCII that are an
 * ASCII letter in other case, U+017F (s) and U+212A (k).
 */
export function foldName(name: string): string {
  return name
    .replaceAll("\u017f", "s")
    .replaceAll("\u212a", "k")
    .replace(/[A-Z]+/g, lower);
}

function lower(capitals: string): string {
  return capitals.toLowerCase();
}

/** So many names of an object are compared one by one, more by a set: both are cheap then. */
const FEW_NAMES = 12;

/** The names of one object. Few of them are kept as hashes: to make strings of all takes twice the time of the scan. */
class NamesSeen {
  readonly #bytes: Buffer;
  readonly #hashes: number[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #all: Set<string> | undefined;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** False when the name, which is written plainly, was there before. */
  addPlain(hash: number, start: number, end: number): boolean {
    if (this.#all !== undefined || this.#hashes.length === FEW_NAMES || this.#hashes.includes(hash)) {
      return this.add(this.#bytes.toString("latin1", start, end));
    }
    this.#hashes.push(hash);
    this.#starts.push(start);
    this.#ends.push(end);
    return true;
  }

  /** As {@link addPlain}, for a name that has to be read. */
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

const HASH_START = 0x811c9dc5;
const HASH_FACTOR = 0x01000193;

/** FNV-1a of 32 bits: a hit is looked at closely, so that another name with the same hash does no harm. */
function hashOn(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, HASH_FACTOR);
}

function hashOf(name: string): number {
  return Buffer.from(name, "latin1").reduce(hashOn, HASH_START);
}

class MemberScanner implements MemberScan {
  members = 0;
  values = 0;
  depth = 0;
  odd: OddMember | undefined;
  passed: keyof MemberLimits | undefined;
  readonly #bytes: Buffer;
  readonly #rules: MemberRules;
  readonly #freeHashes: ReadonlySet<number>;
  readonly #most: Required<MemberLimits>;
  /** Names by level; kept for the next object of the same level. */
  readonly #seen: NamesSeen[] = [];
  /** By level: an object, and one whose names are the client's own. */
  readonly #isObject: boolean[] = [];
  readonly #isFree: boolean[] = [];
  #level = 0;
  #atName = false;
  /** The last name opens an object of the client's own, and a list of such. */
  #freeName = false;
  #freeList = false;

  constructor(bytes: Buffer, rules: MemberRules, limits: MemberLimits) {
    this.#bytes = bytes;
    this.#rules = rules;
    this.#freeHashes = hashesOf(rules.free);
    this.#most = { members: Infinity, values: Infinity, depth: Infinity, ...limits };
  }

  run(): void {
    const bytes = this.#bytes;
    for (let at = 0; at < bytes.length; at += 1) {
      switch (bytes[at] ?? 0) {
        case QUOTE:
          at = this.#atName ? this.#name(at + 1) : endOfString(bytes, at + 1);
          break;
        case COMMA:
          this.#count();
          this.#atName = this.#isObject[this.#level] === true;
          break;
        case OPEN_OBJECT:
          this.#open(true);
          break;
        case OPEN_ARRAY:
          this.#open(false);
          break;
        case CLOSE_OBJECT:
        case CLOSE_ARRAY:
          this.#level -= 1;
          this.#atName = false;
          if (this.#level <= 0) return;
          break;
      }
      if (this.odd !== undefined || this.passed !== undefined) return;
    }
  }

  #open(isObject: boolean): void {
    const isFree = this.#isFree[this.#level] === true || (isObject ? this.#freeName : this.#freeList);
    this.#level += 1;
    this.#isObject[this.#level] = isObject;
    this.#isFree[this.#level] = isFree;
    if (isObject) this.#seenHere().clear();
    this.#atName = isObject;
    this.#freeName = false;
    this.#freeList = false;
    this.depth = Math.max(this.depth, this.#level);
    if (this.depth > this.#most.depth) this.passed = "depth";
    this.#count();
  }

  #count(): void {
    this.values += 1;
    if (this.values > this.#most.values) this.passed ??= "values";
  }

  #seenHere(): NamesSeen {
    return (this.#seen[this.#level] ??= new NamesSeen(this.#bytes));
  }

  /** Reads the name that begins at this place; the place of its closing quote. */
  #name(from: number): number {
    const bytes = this.#bytes;
    let isPlain = true;
    let hash = HASH_START;
    let at = from;
    for (; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? QUOTE;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) at += 1;
      if (byte === BACKSLASH || byte > LAST_ASCII || (byte >= FIRST_CAPITAL && byte <= LAST_CAPITAL)) {
        isPlain = false;
      }
      hash = hashOn(hash, byte);
    }
    this.#atName = false;
    this.members += 1;
    if (this.members > this.#most.members) this.passed ??= "members";
    if (isPlain) this.#plainName(hash, from, at);
    else this.#otherName(readName(bytes.subarray(from, at)));
    return at;
  }

  #plainName(hash: number, from: number, to: number): void {
    const name = this.#freeHashes.has(hash) ? this.#bytes.toString("latin1", from, to) : "";
    this.#nameFree(name);
    if (this.#seenHere().addPlain(hash, from, to)) return;
    const twice = this.#bytes.toString("latin1", from, to);
    this.odd = oddMember("repeated", twice, twice);
  }

  /** @param name empty for one that is not free for certain */
  #nameFree(name: string): void {
    this.#freeName = name !== "" && this.#rules.free.has(name);
    this.#freeList = this.#freeName && this.#rules.freeLists?.has(name) === true;
  }

  /** A name with capitals, with letters beyond ASCII, or with escapes. */
  #otherName(name: string): void {
    const isFree = this.#isFree[this.#level] === true;
    const plain = isFree ? name : foldName(name);
    this.#nameFree(name);
    if (!this.#seenHere().add(plain)) this.odd = oddMember("repeated", name, plain);
    else if (!isFree && this.#rules.known.has(plain)) this.odd = oddMember("respelt", name, plain);
  }
}

const hashesByNames = new WeakMap<ReadonlySet<string>, ReadonlySet<number>>();

function hashesOf(names: ReadonlySet<string>): ReadonlySet<number> {
  const known = hashesByNames.get(names);
  if (known !== undefined) return known;
  const hashes = new Set([...names].map(hashOf));
  hashesByNames.set(names, hashes);
  return hashes;
}

function oddMember(kind: OddMember["kind"], name: string, plain: string): OddMember {
  return { kind, name: name.slice(0, MOST_SHOWN), plain: plain.slice(0, MOST_SHOWN) };
}

/** A name as JSON reads it; as it is written when it is no JSON. */
function readName(written: Buffer): string {
  const text = written.toString();
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return text;
  }
}

/** So many bytes are looked at one by one before a quote is searched for: most strings are short, some full of escapes. */
const NEAR = 48;

/** The place of the quote that closes a string; the end of the text when none does. */
function endOfString(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length;) {
    const near = Math.min(at + NEAR, bytes.length);
    for (; at < near; at += 1) {
      if (bytes[at] === QUOTE) return at;
      if (bytes[at] === BACKSLASH) at += 1;
    }
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0) return bytes.length;
    let first = quote;
    while (first > at && bytes[first - 1] === BACKSLASH) first -= 1;
    if ((quote - first) % 2 === 0) return quote;
    at = quote + 1;
  }
  return bytes.length;
}
