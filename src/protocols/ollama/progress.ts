import { isObject, type Json, type JsonObject } from "../../core/json.ts";

import { errorOfAll, stepOf } from "./outcomes.ts";

/** How an order that several servers carry out at once is told to the client as one, in Ollama's own words. */

/** How one server's part ended. */
export interface PartEnd {
  /** HTTP status of its reply. */
  readonly status: number;
  /** What followed the last line; of a reply in one piece all of it. */
  readonly rest: string;
}

export interface ProgressEnd {
  /** Undefined when all succeeded. */
  readonly error: string | undefined;
  /** What the client gets when nothing was sent before. */
  readonly status: number;
}

interface Part {
  readonly name: string;
  succeeded: boolean;
  over: boolean;
  error: string | undefined;
  status: number;
}

const UNDONE = "it ended before it was done";

/** Steps and digests of one order that are known: a pull has some ten. Steps beyond them are left out. */
const MOST_KNOWN = 2000;

/** Characters of a step, or of a digest, that is told; longer ones are none. */
const MOST_TEXT = 8192;

interface Amount {
  readonly total: number;
  readonly completed: number;
}

/**
 * Merges the progress of several servers: amounts of a digest are added up, other steps are told when the first server
 * comes to them. The end is told when all have ended: `success` only when all succeeded.
 */
export class ProgressMerger {
  readonly #parts: readonly Part[];
  readonly #told = new Set<string>();
  /** Digest -> part -> amount. */
  readonly #amounts = new Map<string, Map<Part, Amount>>();

  /** @param names of the servers, as errors name them */
  constructor(names: readonly string[]) {
    this.#parts = names.map((name) => {
      return { name, succeeded: false, over: false, error: undefined, status: 200 };
    });
  }

  /** A line of one server. Returns the object to tell the client now; undefined when there is nothing new. */
  line(index: number, line: string): JsonObject | undefined {
    const part = this.#parts[index];
    const step = parse(line);
    if (part === undefined || part.over || step === undefined) return undefined;
    if (step["error"] !== undefined) {
      part.error = errorText(step["error"]).slice(0, MOST_TEXT);
      return undefined;
    }
    const { status, digest } = step;
    if (status === "success") {
      part.succeeded = true;
      return undefined;
    }
    if (line.length > MOST_TEXT) return undefined;
    if (typeof digest === "string") return this.#add(part, digest, step);
    const key = JSON.stringify(step);
    if (this.#told.has(key) || this.#told.size >= MOST_KNOWN) return undefined;
    this.#told.add(key);
    return step;
  }

  /** One server has ended. Returns the end of the whole when it was the last. */
  end(index: number, { status, rest }: PartEnd): ProgressEnd | undefined {
    const part = this.#parts[index];
    if (part === undefined || part.over) return undefined;
    if (rest.trim() !== "") this.line(index, rest);
    part.over = true;
    part.status = status;
    if (!part.succeeded) part.error ??= status < 400 || rest.trim() === "" ? UNDONE : errorOf(rest);
    if (this.#parts.some(({ over }) => !over)) return undefined;
    return this.#whole();
  }

  /** The step on one of several servers, when it has ended and others have not; undefined otherwise. */
  ended(index: number): JsonObject | undefined {
    const part = this.#parts[index];
    const isLast = this.#parts.every(({ over }) => over);
    return part === undefined || !part.over || isLast ? undefined : { ...stepOf(part) };
  }

  #whole(): ProgressEnd {
    const failed = this.#parts.find(({ error }) => error !== undefined);
    const status = failed?.status ?? 200;
    return {
      error: errorOfAll(this.#parts),
      // An error that a server told within its stream had no status of its own.
      status: failed !== undefined && status < 400 ? 500 : status,
    };
  }

  #add(part: Part, digest: string, step: JsonObject): JsonObject | undefined {
    if (!this.#amounts.has(digest) && this.#amounts.size >= MOST_KNOWN) return undefined;
    const parts = this.#amounts.get(digest) ?? new Map<Part, Amount>();
    this.#amounts.set(digest, parts);
    parts.set(part, { total: count(step["total"]), completed: count(step["completed"]) });
    const amounts = [...parts.values()];
    const total = amounts.reduce((sum, amount) => sum + amount.total, 0);
    const completed = amounts.reduce((sum, amount) => sum + amount.completed, 0);
    return { ...step, total, ...(completed > 0 ? { completed } : {}) };
  }
}

/** The error of a reply's JSON body; its beginning when it is none. */
export function errorOf(body: string): string {
  const value = parse(body);
  return value?.["error"] === undefined ? body.trim().slice(0, 500) : errorText(value["error"]);
}

function parse(line: string): JsonObject | undefined {
  try {
    const value = JSON.parse(line) as Json;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function errorText(error: Json | undefined): string {
  return typeof error === "string" ? error : JSON.stringify(error);
}

function count(value: Json | undefined): number {
  return typeof value === "number" && value > 0 ? value : 0;
}
