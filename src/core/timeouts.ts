import { modelKey } from "./model.ts";

/** How long a request may stay in each phase of its life, ms; 0: as long as the others allow. */
export interface Timeouts {
  /** From its acceptance until a worker has it. */
  readonly queue: number;
  /** For a connection to the backend. */
  readonly connect: number;
  /** Of a streamed answer: from the request at the backend to the first piece of the answer. */
  readonly firstToken: number;
  /** Between two pieces of a streamed answer. */
  readonly idle: number;
  /** From its acceptance to its end; never 0. */
  readonly total: number;
}

/** The phases that a worker or the queue holds a task to: they travel with it. 0: no limit. */
export interface PhaseLimits {
  /** Wall clock, ms since 1970, after which no worker may begin. */
  readonly queueUntil: number;
  /** Ms, as in {@link Timeouts}. */
  readonly connectMs: number;
  readonly firstTokenMs: number;
  readonly idleMs: number;
}

export type TimeoutPhase = keyof Timeouts;

/** All of them, in the order of their bits on the wire. */
export const TIMEOUT_PHASES: readonly TimeoutPhase[] = ["queue", "connect", "firstToken", "idle", "total"];

/** One timeout: 0 in a phase means as long as the others allow, in all it would mean for ever. */
const ITEM = /^(?:total=[1-9]\d{0,8}|(?:queue|connect|first-token|idle)=\d{1,9})$/;

/** A model's name, with blanks before what is set for it. */
const MODEL_AND_LIST = /^([^\s;,=]+)\s(.*)$/s;

const PHASES: Readonly<Record<string, keyof Timeouts>> = {
  queue: "queue",
  connect: "connect",
  "first-token": "firstToken",
  idle: "idle",
  total: "total",
};

/** Reads `first-token=60000, idle=5000` (ms); undefined when it is anything else. Of a phase given twice the last counts. */
export function parseTimeouts(text: string): Partial<Timeouts> | undefined {
  return isList(text) ? readList(text) : undefined;
}

/** The form of a setting that {@link parseModelTimeouts} reads. */
export const MODEL_TIMEOUTS: { readonly test: (text: string) => boolean } = {
  test: (text) => text.split(";").every((entry) => isList(MODEL_AND_LIST.exec(entry.trim())?.[2] ?? "")),
};

/** Item by item: one expression for the whole list would be tried at each of its blanks. */
function isList(text: string): boolean {
  return text.split(",").every((item) => ITEM.test(item.trim()));
}

/**
 * Reads `llama3:70b first-token=1800000; qwen3:8b idle=10000, total=60000` into timeouts by model key.
 * @param text empty, or what {@link MODEL_TIMEOUTS} matches
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

/** Each timeout of `own` where it is shorter than that of `most`: nothing is longer than `most`. */
export function shorten(most: Timeouts, own: Partial<Timeouts>): Timeouts {
  return {
    queue: shorter(most.queue, own.queue),
    connect: shorter(most.connect, own.connect),
    firstToken: shorter(most.firstToken, own.firstToken),
    idle: shorter(most.idle, own.idle),
    total: shorter(most.total, own.total),
  };
}

/** The phases in which the client's own timeouts are what counts. */
export function ownPhases(most: Timeouts, counting: Timeouts): readonly TimeoutPhase[] {
  return TIMEOUT_PHASES.filter((phase) => most[phase] !== counting[phase]);
}

function shorter(most: number, own: number | undefined = 0): number {
  if (own === 0) return most;
  return most === 0 ? own : Math.min(most, own);
}

/** @param text a list of the right form */
function readList(text: string): Partial<Timeouts> {
  const timeouts: { -readonly [Phase in keyof Timeouts]?: number } = {};
  for (const item of text.split(",")) {
    const [name = "", ms] = item.trim().split("=");
    const phase = PHASES[name];
    if (phase !== undefined) timeouts[phase] = Number(ms);
  }
  return timeouts;
}
