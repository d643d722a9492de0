import { queueLabel } from "./ability.ts";
import type { ModelCard } from "./model.ts";

/** Announcements of processes. Unknown fields of newer versions are ignored. */

export interface WorkerAnnouncement {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  /** Ms since 1970. */
  readonly startedAt: number;
  readonly seenAt: number;
  readonly draining: boolean;
  /** True while a backend has not answered since the start of the worker. Absent: false, and from older workers. */
  readonly starting?: boolean;
  readonly backends: readonly BackendAnnouncement[];
}

export interface BackendAnnouncement {
  // 10 fields: a record, as workers write it to Redis
  readonly name: string;
  readonly kind: string;
  readonly url: string;
  readonly slots: number;
  /** Slots in use. */
  readonly busy: number;
  readonly healthy: boolean;
  /** Empty while the backend is unhealthy. */
  readonly models: readonly ModelCard[];
  /** Models whose circuit is not closed. Absent: none. */
  readonly gates?: readonly CircuitAnnouncement[];
  /** Present for a backend with several models that it loads on demand. Absent from older workers. */
  readonly placement?: PlacementAnnouncement;
  /** Differences from other backends of its kind, found by trying, a few words each. Absent: none. */
  readonly quirks?: readonly string[];
}

/** The models in the memory of a backend that loads them on demand, as its worker knows. */
export interface PlacementAnnouncement {
  /** Loads that displaced another model, since the worker started. */
  readonly swaps: number;
  /** Models that fit into memory together, as far as known. */
  readonly places: number;
  /** Keys of models that are being loaded. */
  readonly loading: readonly string[];
  /** Key of the cold model that is next. Loaded models finish their tasks and get no new ones. Absent: none. */
  readonly swapTo?: string;
  /** Cold models with waiting tasks. */
  readonly cold: readonly ColdModel[];
}

export interface ColdModel {
  /** Model key. */
  readonly model: string;
  /** Wait of the head of its queue (ms), and time until its wait bound (ms). */
  readonly waitedMs: number;
  readonly dueMs: number;
}

/**
 * The state of a backend for one model.
 * - `closed`: it works.
 * - `busy`: it rejected tasks because it is full or not ready.
 * - `open`: it failed several times in a row and gets no tasks.
 * - `half-open`: it gets a single task as a probe.
 * - `paced`: it failed likewise, but few other backends have the model. It gets single tasks with pauses.
 */
export type CircuitState = "closed" | "busy" | "open" | "half-open" | "paced";

export interface CircuitAnnouncement {
  /** The name of a queue: a model key, perhaps with an ability. */
  readonly model: string;
  readonly state: CircuitState;
}

/** The circuit state of a model on a backend. */
export function circuitStateOf({ gates = [] }: BackendAnnouncement, model: string): CircuitState {
  return gates.find((gate) => gate.model === model)?.state ?? "closed";
}

/** True when a backend gets tasks of a model without restriction. */
export function isServing(state: CircuitState): boolean {
  return !BROKEN.has(state);
}

/** True when a backend gets no task of a model, or a single one as a probe. */
export function hasOpenCircuit(state: CircuitState): boolean {
  return state === "open" || state === "half-open";
}

const BROKEN: ReadonlySet<CircuitState> = new Set<CircuitState>(["open", "half-open", "paced"]);

/** The display names of queues that a backend keeps failing: it gets none of their tasks, or single ones. */
export function failingQueues({ gates = [] }: BackendAnnouncement): readonly string[] {
  return gates.filter(({ state }) => BROKEN.has(state)).map(({ model }) => queueLabel(model));
}

/** The use of one tenant at a gateway at one moment. */
export interface TenantNow {
  /** Open requests. */
  readonly open: number;
  /** Smoothed. */
  readonly tokensPerSecond: number;
}

export interface GatewayAnnouncement {
  // 11 fields: a record, as gateways write it to Redis
  readonly tag: string;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  readonly port: number;
  /** The address that it listens on. Absent from older gateways. */
  readonly listen?: string;
  readonly startedAt: number;
  readonly seenAt: number;
  /** Tasks open at this gateway. */
  readonly open: number;
  /** A smoothed rate by model key. Models without tokens are left out. */
  readonly tokensPerSecond?: Readonly<Record<string, number>>;
  /** The busiest tenants, by name. Absent without key records. */
  readonly tenants?: Readonly<Record<string, TenantNow>>;
  /**
   * The run id of the Redis server with its replies, when that server has all removals. "" while a server that has
   * just started or taken over lacks some. Absent from older gateways, and where Redis hides its run id.
   */
  readonly server?: string;
}

/** The queue of one model at one moment, by Redis's clock. */
export interface QueueReading {
  /** Model key. */
  readonly model: string;
  /** Tasks that are queued and unclaimed, or requeued. */
  readonly waiting: number;
  /** Wait of the oldest of these, ms. 0 when none waits. */
  readonly oldestWaitMs: number;
  /** Tasks that workers have claimed. */
  readonly claimed: number;
  /** The longest time since a lease on one of these was renewed, ms. 0 when there is none. */
  readonly oldestIdleMs: number;
  readonly deadLetters: number;
  /** Abilities with tasks, which the counts above include. See ability.ts. Absent: none. */
  readonly abilities?: readonly string[];
}

/** The state of Redis at one moment. */
export interface RedisReading {
  readonly usedMemoryBytes: number;
  /** 0 for no limit. */
  readonly maxMemoryBytes: number;
  readonly clients: number;
  readonly uptimeSeconds: number;
  /** False when the last write of the append-only file or the snapshot failed. */
  readonly persistent: boolean;
  /** Ms from a command to its reply. */
  readonly roundTripMs: number;
}
