import { modelKey } from "./model.ts";

/** Timeouts of a request by phase, ms. 0 sets no limit of its own. */
export interface Timeouts {
  /** From acceptance until a worker claims the task. */
  readonly queue: number;
  /** For the connection to the backend. */
  readonly connect: number;
  /** For a streamed answer: from the request at the backend to the first piece. */
  readonly firstToken: number;
  /** Between two pieces of a streamed answer. */
  readonly idle: number;
  /** From acceptance to the end; never 0. */
  readonly total: number;
}

/** The timeouts that the queue or a worker enforces, which travel with the task. 0: no limit. */
export interface PhaseLimits {
  /** Wall clock, ms since 1970. No worker may begin after it. */
  readonly queueUntil: number;
  /** Ms, as in {@link Timeouts}. */
  readonly connectMs: number;
  readonly firstTokenMs: number;
  readonly idleMs: number;
}

export type TimeoutPhase = keyof Timeouts;

/** All phases, in the order of their bits on the wire. */
export const TIMEOUT_PHASES: readonly TimeoutPhase[] = ["queue", "connect", "firstToken", "idle", "total"];

/** One timeout. 0 is valid except for the total, where it would mean no end. */
const ITEM = /^(?:total=[1-9]\d{0,8}|(?:queue|connect|first-token|idle)=\d{1,9})$/;

/** A model's name, a blank, and its timeouts. */
const MODEL_AND_LIST = /^([^\s;,=]+)\s(.*)$/s;

const PHASES: Readonly<Record<string, keyof Timeouts>> = {
  queue: "queue",
  connect: "connect",
  "first-token": "firstToken",
  idle: "idle",
  total: "total",
};

/**
 * Parses `first-token=60000, idle=5000` (ms). Undefined for any other text. The last value of a repeated phase
 * counts.
 */
export function parseTimeouts(text: string): Partial<Timeouts> | undefined {
  return isList(text) ? readList(text) : undefined;
}

/** The syntax of the setting that {@link parseModelTimeouts} reads. */
export const MODEL_TIMEOUTS: { readonly test: (text: string) => boolean } = {
  test: (text) => text.split(";").every((entry) => isList(MODEL_AND_LIST.exec(entry.trim())?.[2] ?? "")),
};

/** Checks item by item. A single expression for the list would backtrack at each blank. */
function isList(text: string): boolean {
  return text.split(",").every((item) => ITEM.test(item.trim()));
}

/**
 * Parses `llama3:70b first-token=1800000; qwen3:8b idle=10000, total=60000` into timeouts by model key.
 * @param text empty, or a match of {@link MODEL_TIMEOUTS}
 */
export function parseModelTimeouts(text: string): ReadonlyMap<string, Partial<Timeouts>> {
  const entries = text.split(";").map((entry) => entry.trim());
  return new Map(
    entries
      .filter((entry) => entry !== "")
      .map((entry) => {
        const name = /^\S+/.exec(entry)?.[0] ?? "";
        return [modelKey(name), readList(entry.slice(name.length))];
      }),
  );
}

/** Returns the shorter of both timeouts for each phase. `own` cannot extend `most`. */
export function shorten(most: Timeouts, own: Partial<Timeouts>): Timeouts {
  return {
    queue: shorter(most.queue, own.queue),
    connect: shorter(most.connect, own.connect),
    firstToken: shorter(most.firstToken, own.firstToken),
    idle: shorter(most.idle, own.idle),
    total: shorter(most.total, own.total),
  };
}

/** The phases whose effective timeout is the client's own. */
export function ownPhases(most: Timeouts, counting: Timeouts): readonly TimeoutPhase[] {
  return TIMEOUT_PHASES.filter((phase) => most[phase] !== counting[phase]);
}

function shorter(most: number, own: number | undefined = 0): number {
  if (own === 0) return most;
  return most === 0 ? own : Math.min(most, own);
}

/** @param text a valid list */
function readList(text: string): Partial<Timeouts> {
  const timeouts: { -readonly [Phase in keyof Timeouts]?: number } = {};
  for (const item of text.split(",")) {
    const [name = "", ms] = item.trim().split("=");
    const phase = PHASES[name];
    if (phase !== undefined) timeouts[phase] = Number(ms);
  }
  return timeouts;
}
