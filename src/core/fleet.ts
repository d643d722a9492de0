import { queueWords } from "./ability.ts";
import type { ModelCard } from "./model.ts";

/** What processes tell about themselves. Extra fields of newer versions are ignored. */

export interface WorkerAnnouncement {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  /** Ms since 1970. */
  readonly startedAt: number;
  readonly seenAt: number;
  readonly draining: boolean;
  /** True while some backend of it has not answered since it started. Absent: no, and from older workers. */
  readonly starting?: boolean;
  readonly backends: readonly BackendAnnouncement[];
}

export interface BackendAnnouncement {
  readonly name: string;
  readonly kind: string;
  readonly url: string;
  readonly slots: number;
  /** Slots in use. */
  readonly busy: number;
  readonly healthy: boolean;
  /** Empty while the backend is not healthy. */
  readonly models: readonly ModelCard[];
  /** Models that the backend does not serve as it should; the others have a closed circuit. Absent for none. */
  readonly gates?: readonly GateAnnouncement[];
  /** Present for a backend that loads models on demand, and has several. Absent from older workers. */
  readonly placement?: PlacementAnnouncement;
  /** How it differs from others of its kind, as was learned by trying, in a few words each. Absent for none. */
  readonly quirks?: readonly string[];
}

/** Tells what a worker knows of the memory of a backend that loads models on demand. */
export interface PlacementAnnouncement {
  /** Loads for which another model had to go, since the worker started. */
  readonly swaps: number;
  /** Models that fit at once, as far as is known. */
  readonly places: number;
  /** Keys of models that are being loaded. */
  readonly loading: readonly string[];
  /** Key of the cold model whose turn it is: what is loaded ends its tasks and gets no more. Absent for none. */
  readonly swapTo?: string;
  /** Cold models of which a task waits. */
  readonly cold: readonly ColdModel[];
}

export interface ColdModel {
  /** Model key. */
  readonly model: string;
  /** How long the first of its queue has waited, and how long until its wait bound is reached; ms. */
  readonly waitedMs: number;
  readonly dueMs: number;
}

/**
 * How a backend serves a model. `closed`: as it should. `busy`: it has refused tasks because it is full or not ready.
 * `open`: it has failed several times in a row, and no task goes there. `half-open`: a single one does, as a probe.
 * `paced`: it has failed like that, and too few others of the fleet have the model: single tasks go there, with pauses.
 */
export type GateState = "closed" | "busy" | "open" | "half-open" | "paced";

export interface GateAnnouncement {
  /** The name of a queue: a model key, or one with an ability. */
  readonly model: string;
  readonly state: GateState;
}

/** How a backend serves a model that it has. */
export function gateStateOf({ gates = [] }: BackendAnnouncement, model: string): GateState {
  return gates.find((gate) => gate.model === model)?.state ?? "closed";
}

/** True when a backend takes tasks of a model as others do: as many as it can, and with a good chance of an answer. */
export function isServing(state: GateState): boolean {
  return !BROKEN.has(state);
}

/** True when a backend gets no tasks of a model at all, or one as a probe. */
export function isEjected(state: GateState): boolean {
  return state === "open" || state === "half-open";
}

const BROKEN: ReadonlySet<GateState> = new Set<GateState>(["open", "half-open", "paced"]);

/** The models, and abilities of models, that a backend has failed with again and again, in words: it gets none of their tasks, or one as a probe. */
export function brokenModels({ gates = [] }: BackendAnnouncement): readonly string[] {
  return gates.filter(({ state }) => BROKEN.has(state)).map(({ model }) => queueWords(model));
}

export interface GatewayAnnouncement {
  readonly tag: string;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  readonly port: number;
  /** The address it listens on; absent from older gateways. */
  readonly listen?: string;
  readonly startedAt: number;
  readonly seenAt: number;
  /** Tasks open at this gateway. */
  readonly open: number;
  /** Smoothed, by model key; models without any are left out. */
  readonly tokensPerSecond?: Readonly<Record<string, number>>;
  /**
   * The run of the Redis server with its replies that knows all it has removed; "" while one that has just taken over,
   * or started, does not yet. Absent from older gateways, and where Redis does not tell its run.
   */
  readonly server?: string;
}

/** One model's queue at one moment, by Redis's clock. */
export interface QueueReading {
  /** Model key. */
  readonly model: string;
  /** Tasks queued and not claimed, or handed back. */
  readonly waiting: number;
  /** How long the first of these has waited, ms; 0 when none waits. */
  readonly oldestWaitMs: number;
  /** Tasks in workers' hands. */
  readonly claimed: number;
  /** The longest time since a worker renewed its lease on one of these, ms; 0 when there is none. */
  readonly oldestIdleMs: number;
  readonly deadLetters: number;
  /** Names of its abilities with tasks, see ability.ts; absent for none. Their tasks are counted above. */
  readonly abilities?: readonly string[];
}

/** Redis at one moment. */
export interface RedisReading {
  readonly usedMemoryBytes: number;
  /** 0 when Redis has no limit. */
  readonly maxMemoryBytes: number;
  readonly clients: number;
  readonly uptimeSeconds: number;
  /** False when the last write of the append-only file or snapshot failed. */
  readonly persistent: boolean;
  /** Ms from a command to its answer. */
  readonly roundTripMs: number;
}
