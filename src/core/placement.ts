/**
 * Placement: which models a backend that loads them on demand may be given tasks of. It is a pure policy: what is known
 * of its models at one moment goes in, a plan comes out. All times are mono ms. The rules are those of
 * docs/decisions/0032-placement.md.
 */

import { least } from "./long-lists.ts";

/** A model of such a backend at one moment. */
export interface Placeable {
  readonly key: string;
  /** It is in memory, or a task that was claimed is just loading it. */
  readonly loaded: boolean;
  /** When its load was over; undefined while it loads, and when it is not loaded. */
  readonly loadedAt: number | undefined;
  /** Tasks of it that run here. */
  readonly running: number;
  /** When the last of these ended; -Infinity when none ever ran. */
  readonly idleAt: number;
  /** Its tasks may be claimed: its circuit is not open. */
  readonly open: boolean;
  /** Since when the head of its queue waits; undefined when none waits. */
  readonly waitingSince: number | undefined;
  /** The head can be claimed; false when it was handed back, and is to be taken over. */
  readonly queued: boolean;
  /** When the wait bound of its head is reached. */
  readonly dueAt: number;
  /** A load has failed: it is not loaded before that unless nothing else is to be done. */
  readonly retryAt: number;
  /** How long it stays at least when others wait, ms. */
  readonly residencyMs: number;
  /** For so long after its last task one more may come, ms. */
  readonly lingerMs: number;
  /** The memory that it takes (bytes); 0 when unknown. */
  readonly bytes: number;
}

/** The room in the memory of a backend. */
export interface Places {
  /** Models at once. */
  readonly models: number;
  /** Bytes that were seen to fit; Infinity when only models count. */
  readonly bytes: number;
}

/** Models whose tasks a backend may be given now. */
export interface Plan {
  /** Model keys in the order they are to be served. */
  readonly claim: readonly string[];
  /** Models of which a task that comes may be claimed, or loaded, at once. */
  readonly listen: readonly string[];
  /** True when a task of one to be claimed is known to wait. */
  readonly waits: boolean;
  /** When it is time to look again, whatever happens. */
  readonly lookAt: number;
  /** The cold model whose turn it is. */
  readonly swapTo?: string;
  /** Loaded models that get no more tasks, so that they can go. */
  readonly closing: readonly string[];
}

/** A task that was handed back is taken over by others than the claimer: it looks again after this, ms. */
const TAKEN_OVER_MS = 500;

/**
 * Loaded models first; a cold one when nothing has to go for it, or when its head has waited long enough and what has to
 * go has been there long enough: that one then gets no more tasks until it is idle.
 * @param turn counts the looks: which of several loaded models is first
 */
export function plan(
  models: readonly Placeable[],
  places: Places,
  { now, turn }: { readonly now: number; readonly turn: number },
): Plan {
  const scene: Scene = {
    now,
    places,
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
  readonly places: Places;
  /** Loaded models that run, or have work. */
  readonly busy: readonly Placeable[];
  readonly warm: readonly Placeable[];
  readonly cold: readonly Placeable[];
}

interface Waiting extends Placeable {
  readonly waitingSince: number;
}

function isWaiting(model: Placeable): model is Waiting {
  return model.waitingSince !== undefined;
}

function isNeeded({ running, open, waitingSince }: Placeable): boolean {
  return running > 0 || (open && waitingSince !== undefined);
}

function isDue({ dueAt, retryAt }: Placeable, now: number): boolean {
  return Math.max(dueAt, retryAt) <= now;
}

/** Models that have only just become idle: those who use them come back within milliseconds. */
function lingering({ warm, busy, now }: Scene): readonly Placeable[] {
  return warm.filter((model) => !busy.includes(model) && model.idleAt + model.lingerMs > now);
}

/** True when nothing that is needed has to go. */
function mayLoad(candidate: Placeable, scene: Scene): boolean {
  const { busy, now } = scene;
  return mayLoadBeside(candidate, candidate.dueAt <= now ? busy : [...busy, ...lingering(scene)], scene);
}

/** True when it fits, and when its load has not just failed, or nothing else is to be done. */
function mayLoadBeside(model: Placeable, beside: readonly Placeable[], { places, now }: Scene): boolean {
  return fits(model, beside, places) && (beside.length === 0 || model.retryAt <= now);
}

/** True when a model has a place beside others. */
export function fits(
  { bytes }: Pick<Placeable, "bytes">,
  beside: readonly Pick<Placeable, "bytes">[],
  places: Places,
): boolean {
  if (beside.length === 0) return true;
  if (beside.length + 1 > places.models) return false;
  const sizes = [bytes, ...beside.map((model) => model.bytes)];
  if (sizes.includes(0)) return true;
  return sizes.reduce((sum, size) => sum + size, 0) <= places.bytes;
}

/** Returns the models that have to go, the longest loaded first. Undefined before they have been there long enough. */
function closingFor(candidate: Placeable, { busy, places, now }: Scene): readonly Placeable[] | undefined {
  const ripe = busy
    .filter((model) => residentUntil(model) <= now)
    .toSorted((a, b) => residentUntil(a) - residentUntil(b));
  for (let count = 1; count <= ripe.length; count += 1) {
    const closing = ripe.slice(0, count);
    const left = busy.filter((model) => !closing.includes(model));
    if (fits(candidate, left, places)) return closing;
  }
  return undefined;
}

function residentUntil({ loadedAt, residencyMs }: Placeable): number {
  return loadedAt === undefined ? Infinity : loadedAt + residencyMs;
}

function swapping(candidate: Waiting, scene: Scene, closing: readonly Placeable[]): Plan {
  if (closing.every(({ running }) => running === 0)) return loading(candidate, scene, closing);
  const open = keysOf(scene.warm.filter((model) => !closing.includes(model)));
  return {
    claim: open,
    listen: open,
    waits: knownToWait(scene.warm, open),
    lookAt: Infinity,
    swapTo: candidate.key,
    closing: keysOf(closing),
  };
}

/** The candidate alone; of what was handed back others see, and the loaded ones go on meanwhile. */
function loading(candidate: Waiting, scene: Scene, closing: readonly Placeable[]): Plan {
  const { key, queued } = candidate;
  const swap = { swapTo: key, closing: keysOf(closing) };
  if (queued) return { claim: [key], listen: [key], waits: true, lookAt: Infinity, ...swap };
  const open = keysOf(scene.busy.filter((model) => model.open && !closing.includes(model)));
  return {
    claim: open,
    listen: [...open, key],
    waits: knownToWait(scene.busy, open),
    lookAt: scene.now + TAKEN_OVER_MS,
    ...swap,
  };
}

function serving(scene: Scene, waiting: readonly Waiting[]): Plan {
  const { warm, cold, busy } = scene;
  const claim = keysOf(warm);
  const welcome = cold.filter((model) => !isWaiting(model) && mayLoadBeside(model, busy, scene));
  return {
    claim,
    listen: [...claim, ...keysOf(welcome)],
    waits: knownToWait(warm, claim),
    lookAt: nextChange(scene, waiting),
    closing: [],
  };
}

/** When time alone may give a cold model its turn. */
function nextChange(scene: Scene, waiting: readonly Waiting[]): number {
  if (waiting.length === 0) return Infinity;
  const times = [
    ...waiting.flatMap(({ dueAt, retryAt }) => [dueAt, retryAt]),
    ...scene.busy.map(residentUntil),
    ...lingering(scene).map(({ idleAt, lingerMs }) => idleAt + lingerMs),
  ];
  return least(times.filter((time) => time > scene.now));
}

function keysOf(models: readonly Placeable[]): string[] {
  return models.map(({ key }) => key);
}

function knownToWait(models: readonly Placeable[], keys: readonly string[]): boolean {
  return models.some((model) => model.queued && isWaiting(model) && keys.includes(model.key));
}

/** Loaded models, or all where placement is off, so that none is always first. @param turn counts the looks of this backend */
export function serveOrder(models: readonly { readonly key: string }[], turn: number): string[] {
  return rotate(models, turn).map((model) => model.key);
}

function rotate<Item>(items: readonly Item[], turn: number): readonly Item[] {
  if (items.length < 2) return items;
  const start = turn % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
