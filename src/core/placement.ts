/**
 * Placement decides which models of a backend may get tasks, where the backend loads models on demand. It is a pure
 * policy: facts about its models at one moment go in, a plan comes out. All times are monotonic ms.
 * docs/decisions/0032-placement.md has the rules.
 */

import { least } from "./long-lists.ts";

/** One model of such a backend at one moment. */
export interface PlacementModel {
  readonly key: string;
  /** True when the model is in memory, or a claimed task is loading it. */
  readonly loaded: boolean;
  /** When its load ended; undefined while it loads, and when it is not loaded. */
  readonly loadedAt: number | undefined;
  /** Tasks of the model that run on this backend. */
  readonly running: number;
  /** When its last task ended; -Infinity when none has run. */
  readonly idleAt: number;
  /** True when its tasks may be claimed: its circuit is not open. */
  readonly open: boolean;
  /** When the head of its queue began to wait; undefined when none waits. */
  readonly waitingSince: number | undefined;
  /** True when the head can be claimed; false when it was requeued and has to be taken over. */
  readonly queued: boolean;
  /** When its head reaches the wait bound. */
  readonly dueAt: number;
  /** A failed load is not retried before this time while other work exists. */
  readonly retryAt: number;
  /** Least time in memory while other models wait, ms. */
  readonly residencyMs: number;
  /** Time after its last task in which another one is expected, ms. */
  readonly lingerMs: number;
  /** Memory of the model (bytes); 0 when unknown. */
  readonly bytes: number;
}

/** The memory capacity of a backend. */
export interface MemoryCapacity {
  /** Models that fit together. */
  readonly models: number;
  /** Bytes that were seen to fit; Infinity when only the number of models counts. */
  readonly bytes: number;
}

/** The models whose tasks a backend may get now. */
export interface PlacementPlan {
  /** Keys of models to claim from, in order. */
  readonly claim: readonly string[];
  /** Keys of models whose next task may be claimed or loaded at once. */
  readonly listen: readonly string[];
  /** True when a claimable task is known to wait. */
  readonly waits: boolean;
  /** When to plan again at the latest. */
  readonly recheckAt: number;
  /** The cold model that is next. */
  readonly swapTo?: string;
  /** Loaded models that get no new tasks, so that they can be unloaded. */
  readonly closing: readonly string[];
}

/** Other parts of the worker take over requeued tasks. The claimer plans again after this time, ms. */
const TAKEN_OVER_MS = 500;

/**
 * Plans the next claims. Loaded models go first. A cold model is loaded when no needed model must leave memory for
 * it. It also is when its head has reached the wait bound and the models to unload have had their residency. These
 * then get no new tasks until they are idle.
 * @param turn counts the plans, and rotates the order of loaded models
 */
export function planPlacement(
  models: readonly PlacementModel[],
  capacity: MemoryCapacity,
  { now, turn }: { readonly now: number; readonly turn: number },
): PlacementPlan {
  const scene: Scene = {
    now,
    capacity,
    busy: models.filter((model) => model.loaded && isNeeded(model)),
    warm: rotate(
      models.filter(({ loaded, open }) => loaded && open),
      turn,
    ),
    cold: models.filter(({ loaded, open }) => !loaded && open),
  };
  const waiting = scene.cold.filter(isWaiting).toSorted((a, b) => a.waitingSince - b.waitingSince);
  for (const candidate of waiting) {
    if (mayLoad(candidate, scene)) return loading(candidate, scene, []);
  }
  for (const candidate of waiting) {
    const closing = isDue(candidate, now) ? closingFor(candidate, scene) : undefined;
    if (closing !== undefined) return swapping(candidate, scene, closing);
  }
  return serving(scene, waiting);
}

interface Scene {
  readonly now: number;
  readonly capacity: MemoryCapacity;
  /** Loaded models with running or waiting tasks. */
  readonly busy: readonly PlacementModel[];
  readonly warm: readonly PlacementModel[];
  readonly cold: readonly PlacementModel[];
}

interface Waiting extends PlacementModel {
  readonly waitingSince: number;
}

function isWaiting(model: PlacementModel): model is Waiting {
  return model.waitingSince !== undefined;
}

function isNeeded({ running, open, waitingSince }: PlacementModel): boolean {
  return running > 0 || (open && waitingSince !== undefined);
}

function isDue({ dueAt, retryAt }: PlacementModel, now: number): boolean {
  return Math.max(dueAt, retryAt) <= now;
}

/** Models that have just become idle. Their clients often return within milliseconds. */
function lingering({ warm, busy, now }: Scene): readonly PlacementModel[] {
  return warm.filter((model) => !busy.includes(model) && model.idleAt + model.lingerMs > now);
}

/** True when no needed model has to be unloaded. */
function mayLoad(candidate: PlacementModel, scene: Scene): boolean {
  const { busy, now } = scene;
  return mayLoadBeside(candidate, candidate.dueAt <= now ? busy : [...busy, ...lingering(scene)], scene);
}

/** True when the model fits, and its load has not just failed while other work exists. */
function mayLoadBeside(
  model: PlacementModel,
  beside: readonly PlacementModel[],
  { capacity, now }: Scene,
): boolean {
  return fitsWith(model, beside, capacity) && (beside.length === 0 || model.retryAt <= now);
}

/** True when a model fits beside others. */
export function fitsWith(
  { bytes }: Pick<PlacementModel, "bytes">,
  beside: readonly Pick<PlacementModel, "bytes">[],
  capacity: MemoryCapacity,
): boolean {
  if (beside.length === 0) return true;
  if (beside.length + 1 > capacity.models) return false;
  const sizes = [bytes, ...beside.map((model) => model.bytes)];
  if (sizes.includes(0)) return true;
  return sizes.reduce((sum, size) => sum + size, 0) <= capacity.bytes;
}

/** Returns the models to unload, the longest loaded first. Undefined while they have not had their residency. */
function closingFor(
  candidate: PlacementModel,
  { busy, capacity, now }: Scene,
): readonly PlacementModel[] | undefined {
  const ripe = busy
    .filter((model) => residentUntil(model) <= now)
    .toSorted((a, b) => residentUntil(a) - residentUntil(b));
  for (let count = 1; count <= ripe.length; count += 1) {
    const closing = ripe.slice(0, count);
    const left = busy.filter((model) => !closing.includes(model));
    if (fitsWith(candidate, left, capacity)) return closing;
  }
  return undefined;
}

function residentUntil({ loadedAt, residencyMs }: PlacementModel): number {
  return loadedAt === undefined ? Infinity : loadedAt + residencyMs;
}

function swapping(candidate: Waiting, scene: Scene, closing: readonly PlacementModel[]): PlacementPlan {
  if (closing.every(({ running }) => running === 0)) return loading(candidate, scene, closing);
  const open = keysOf(scene.warm.filter((model) => !closing.includes(model)));
  return {
    claim: open,
    listen: open,
    waits: knownToWait(scene.warm, open),
    recheckAt: Infinity,
    swapTo: candidate.key,
    closing: keysOf(closing),
  };
}

/** Plans the load of the candidate. While others take over its requeued head, loaded models go on. */
function loading(candidate: Waiting, scene: Scene, closing: readonly PlacementModel[]): PlacementPlan {
  const { key, queued } = candidate;
  const swap = { swapTo: key, closing: keysOf(closing) };
  if (queued) return { claim: [key], listen: [key], waits: true, recheckAt: Infinity, ...swap };
  const open = keysOf(scene.busy.filter((model) => model.open && !closing.includes(model)));
  return {
    claim: open,
    listen: [...open, key],
    waits: knownToWait(scene.busy, open),
    recheckAt: scene.now + TAKEN_OVER_MS,
    ...swap,
  };
}

function serving(scene: Scene, waiting: readonly Waiting[]): PlacementPlan {
  const { warm, cold, busy } = scene;
  const claim = keysOf(warm);
  const welcome = cold.filter((model) => !isWaiting(model) && mayLoadBeside(model, busy, scene));
  return {
    claim,
    listen: [...claim, ...keysOf(welcome)],
    waits: knownToWait(warm, claim),
    recheckAt: nextChange(scene, waiting),
    closing: [],
  };
}

/** The next time at which a cold model may be loaded although nothing else changes. */
function nextChange(scene: Scene, waiting: readonly Waiting[]): number {
  if (waiting.length === 0) return Infinity;
  const times = [
    ...waiting.flatMap(({ dueAt, retryAt }) => [dueAt, retryAt]),
    ...scene.busy.map(residentUntil),
    ...lingering(scene).map(({ idleAt, lingerMs }) => idleAt + lingerMs),
  ];
  return least(times.filter((time) => time > scene.now));
}

function keysOf(models: readonly PlacementModel[]): string[] {
  return models.map(({ key }) => key);
}

function knownToWait(models: readonly PlacementModel[], keys: readonly string[]): boolean {
  return models.some((model) => model.queued && isWaiting(model) && keys.includes(model.key));
}

/**
 * The order of loaded models, or of all models where placement is off. It rotates so that none is always first.
 * @param turn counts the plans of this backend
 */
export function serveOrder(models: readonly { readonly key: string }[], turn: number): string[] {
  return rotate(models, turn).map((model) => model.key);
}

function rotate<Item>(items: readonly Item[], turn: number): readonly Item[] {
  if (items.length < 2) return items;
  const start = turn % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
