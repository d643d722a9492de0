import { isObject, type Json, type JsonObject } from "../../core/json.ts";

import { combinedError, outcomeStep } from "./server-outcomes.ts";

/** Merges the progress of one request on several servers into one stream, in Ollama's words. */

/** The end of one server's part. */
interface PartEnd {
  /** HTTP status of its reply. */
  readonly status: number;
  /** Text behind the last line, or the whole reply when it has one piece. */
  readonly rest: string;
}

interface ProgressEnd {
  /** Undefined when all succeeded. */
  readonly error: string | undefined;
  /** The status for the client while nothing has been sent. */
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

/** Most known steps and digests of one request. A pull has about ten. Others are dropped. */
const MOST_KNOWN = 2000;

/** Most characters of a step or a digest. Longer ones are dropped. */
const MOST_TEXT = 8192;

interface Amount {
  readonly total: number;
  readonly completed: number;
}

/**
 * Merges the progress of several servers. Amounts of a digest are summed. Other steps are sent when the first server
 * reaches them. The end follows when all servers have ended, with `success` only if all succeeded.
 */
export class ProgressMerger {
  readonly #parts: readonly Part[];
  readonly #sentSteps = new Set<string>();
  /** Digest -> part -> amount. */
  readonly #amounts = new Map<string, Map<Part, Amount>>();

  /** @param names the servers' names in errors */
  constructor(names: readonly string[]) {
    this.#parts = names.map((name) => {
      return { name, succeeded: false, over: false, error: undefined, status: 200 };
    });
  }

  /** Takes a line of one server. Returns the object to send now; undefined for nothing new. */
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
    if (this.#sentSteps.has(key) || this.#sentSteps.size >= MOST_KNOWN) return undefined;
    this.#sentSteps.add(key);
    return step;
  }

  /** Ends one server's part. Returns the end of all when it was the last. */
  end(index: number, { status, rest }: PartEnd): ProgressEnd | undefined {
    const part = this.#parts[index];
    if (part === undefined || part.over) return undefined;
    if (rest.trim() !== "") this.line(index, rest);
    part.over = true;
    part.status = status;
    if (!part.succeeded) part.error ??= status < 400 || rest.trim() === "" ? UNDONE : replyError(rest);
    if (this.#parts.some(({ over }) => !over)) return undefined;
    return this.#whole();
  }

  /** The step that reports the end on one of several servers, while others go on. Otherwise undefined. */
  ended(index: number): JsonObject | undefined {
    const part = this.#parts[index];
    const isLast = this.#parts.every(({ over }) => over);
    return part === undefined || !part.over || isLast ? undefined : { ...outcomeStep(part) };
  }

  #whole(): ProgressEnd {
    const failed = this.#parts.find(({ error }) => error !== undefined);
    const status = failed?.status ?? 200;
    return {
      error: combinedError(this.#parts),
      // An error within a stream has no status of its own.
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

/** The error in a reply's JSON body, else an excerpt of the body. */
export function replyError(body: string): string {
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
