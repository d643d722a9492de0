import {
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COMMA,
  endOfString,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
} from "./json-bytes.ts";
import { HASH_START, hashesOf, hashStep, NameSet } from "./name-set.ts";

/**
 * Scans the member names of a JSON text without building its value. `JSON.parse` hides repeated names: it keeps the
 * last one. Servers differ: Go's `encoding/json` accepts `Stream` for `stream` and keeps the last, others keep the
 * first. It takes one pass over the bytes; docs/decisions/0035 has the cost.
 */

/** The rules for member names. */
export interface MemberRules {
  /** Names that servers read at any level. They must be in lower case and without escapes. */
  readonly known: ReadonlySet<string>;
  /** Names of objects with the client's own members, in which `id` and `ID` differ. */
  readonly free: ReadonlySet<string>;
  /** Names among these that may also hold lists of such objects. Absent: none. */
  readonly freeLists?: ReadonlySet<string>;
}

/** Limits of a text. Absent: no limit. */
export interface MemberLimits {
  readonly members?: number;
  /** Members, elements, objects and arrays. */
  readonly values?: number;
  readonly depth?: number;
}

interface MemberFault {
  /**
   * `repeated`: the object has the name twice, perhaps in different case. `respelt`: a known name in another
   * spelling.
   */
  readonly kind: "repeated" | "respelt";
  /** The name as JSON reads it, at most {@link MOST_SHOWN} characters. */
  readonly name: string;
  /** The correct spelling, in lower case. */
  readonly plain: string;
}

export interface MemberScan {
  readonly members: number;
  /** The approximate number of values: all commas, objects and arrays. */
  readonly values: number;
  readonly depth: number;
  /** The first bad member, which ends the scan. */
  readonly fault: MemberFault | undefined;
  /** The first exceeded limit, which ends the scan. */
  readonly passed: keyof MemberLimits | undefined;
}

/** Most characters of a name in an error. */
const MOST_SHOWN = 64;

const FIRST_CAPITAL = 0x41;
const LAST_CAPITAL = 0x5a;
const LAST_ASCII = 0x7f;

/**
 * Scans the first JSON value of a text in UTF-8. Text that is no JSON is scanned as far as possible; the parser
 * rejects it later.
 */
export function scanMembers(bytes: Buffer, rules: MemberRules, limits: MemberLimits = {}): MemberScan {
  const scanner = new MemberScanner(bytes, rules, limits);
  scanner.run();
  return scanner;
}

/**
 * Folds a name like Go's `encoding/json`: ASCII letters, and the two other letters that fold to ASCII, U+017F (s) and
 * U+212A (k).
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

class MemberScanner implements MemberScan {
  #members = 0;
  #values = 0;
  #depth = 0;
  #fault: MemberFault | undefined;
  #passed: keyof MemberLimits | undefined;
  readonly #bytes: Buffer;
  readonly #rules: MemberRules;
  readonly #freeHashes: ReadonlySet<number>;
  readonly #most: Required<MemberLimits>;
  /** Names by level, reused for the next object of a level. */
  readonly #seen: NameSet[] = [];
  /** By level: whether it is an object, and whether its members are the client's own. */
  readonly #isObject: boolean[] = [];
  readonly #isFree: boolean[] = [];
  #level = 0;
  #atName = false;
  /** True when the last name opens an object, or a list of objects, with the client's own members. */
  #freeName = false;
  #freeList = false;

  constructor(bytes: Buffer, rules: MemberRules, limits: MemberLimits) {
    this.#bytes = bytes;
    this.#rules = rules;
    this.#freeHashes = hashesOf(rules.free);
    this.#most = { members: Infinity, values: Infinity, depth: Infinity, ...limits };
  }

  get members(): number {
    return this.#members;
  }

  get values(): number {
    return this.#values;
  }

  get depth(): number {
    return this.#depth;
  }

  get fault(): MemberFault | undefined {
    return this.#fault;
  }

  get passed(): keyof MemberLimits | undefined {
    return this.#passed;
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
      if (this.#fault !== undefined || this.#passed !== undefined) return;
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
    this.#depth = Math.max(this.#depth, this.#level);
    if (this.#depth > this.#most.depth) this.#passed = "depth";
    this.#count();
  }

  #count(): void {
    this.#values += 1;
    if (this.#values > this.#most.values) this.#passed ??= "values";
  }

  #seenHere(): NameSet {
    return (this.#seen[this.#level] ??= new NameSet(this.#bytes));
  }

  /** Reads the name at an offset. Returns the offset of its closing quote. */
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
      hash = hashStep(hash, byte);
    }
    this.#atName = false;
    this.#members += 1;
    if (this.#members > this.#most.members) this.#passed ??= "members";
    if (isPlain) this.#plainName(hash, from, at);
    else this.#otherName(readName(bytes.subarray(from, at)));
    return at;
  }

  #plainName(hash: number, from: number, to: number): void {
    const name = this.#freeHashes.has(hash) ? this.#bytes.toString("latin1", from, to) : "";
    this.#nameFree(name);
    if (this.#seenHere().addPlain(hash, from, to)) return;
    const twice = this.#bytes.toString("latin1", from, to);
    this.#fault = memberFault("repeated", twice, twice);
  }

  /** @param name "" for a name that is certainly not free */
  #nameFree(name: string): void {
    this.#freeName = name !== "" && this.#rules.free.has(name);
    this.#freeList = this.#freeName && this.#rules.freeLists?.has(name) === true;
  }

  /** Handles a name with capitals, non-ASCII letters or escapes. */
  #otherName(name: string): void {
    const isFree = this.#isFree[this.#level] === true;
    const plain = isFree ? name : foldName(name);
    this.#nameFree(name);
    if (!this.#seenHere().add(plain)) this.#fault = memberFault("repeated", name, plain);
    else if (!isFree && this.#rules.known.has(plain)) this.#fault = memberFault("respelt", name, plain);
  }
}

function memberFault(kind: MemberFault["kind"], name: string, plain: string): MemberFault {
  return { kind, name: name.slice(0, MOST_SHOWN), plain: plain.slice(0, MOST_SHOWN) };
}

/** The name as JSON reads it, or as written when it is no JSON. */
function readName(written: Buffer): string {
  const text = written.toString();
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return text;
  }
}
