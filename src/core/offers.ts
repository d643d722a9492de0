import { brokenModels, gateStateOf, isServing } from "./fleet.ts";
import type { BackendAnnouncement, WorkerAnnouncement } from "./fleet.ts";
import type { ModelCard } from "./model.ts";

/**
 * The one answer to who takes tasks of a model, for `sgnet status`, `top`, the live page, metrics and retries. Memory is
 * another question: a drained worker's models stay loaded.
 */

/** A backend that takes tasks of a model. */
export interface Offer {
  readonly worker: WorkerAnnouncement;
  readonly backend: BackendAnnouncement;
  readonly card: ModelCard;
  /** Tasks of the model that it takes at once: 1 while its circuit lets single ones pass (half-open, paced). */
  readonly slots: number;
}

/** The backends that take tasks of a model (by its key): up, of a worker that does not drain, the circuit not open. */
export function offersOf(workers: readonly WorkerAnnouncement[], model: string): Offer[] {
  return workers.flatMap((worker) =>
    worker.backends.flatMap((backend) => {
      const card = backend.models.find(({ key }) => key === model);
      const slots = takesTasks(worker, backend) ? slotsFor(backend, model) : 0;
      return card === undefined || slots === 0 ? [] : [{ worker, backend, card, slots }];
    }),
  );
}

/** Keys of all models of which some backend takes tasks. */
export function offeredModels(workers: readonly WorkerAnnouncement[]): ReadonlySet<string> {
  const keys = workers.flatMap((worker) =>
    worker.backends
      .filter((backend) => takesTasks(worker, backend))
      .flatMap((backend) => backend.models.filter(({ key }) => slotsFor(backend, key) > 0)),
  );
  return new Set(keys.map(({ key }) => key));
}

/** True when a backend takes tasks of some model; one without models will when it has one. */
export function takesTasks(
  worker: Pick<WorkerAnnouncement, "draining">,
  backend: BackendAnnouncement,
): boolean {
  if (worker.draining || !backend.healthy) return false;
  return backend.models.length === 0 || backend.models.some(({ key }) => slotsFor(backend, key) > 0);
}

function slotsFor(backend: BackendAnnouncement, model: string): number {
  const state = gateStateOf(backend, model);
  if (state === "open") return 0;
  return isServing(state) ? backend.slots : Math.min(1, backend.slots);
}

/** How a backend is, in one word, the worst first. */
export type BackendState = "down" | "failing" | "silent" | "draining" | "healthy";

/** A silence of a worker that people should know of, ms: workers announce themselves each 3 s. */
const LONG_SILENCE_MS = 8000;

/** True when a worker was not heard of for longer than a live one is silent. @param now ms since 1970 */
export function isSilent({ seenAt }: Pick<WorkerAnnouncement, "seenAt">, now: number): boolean {
  return now - seenAt > LONG_SILENCE_MS;
}

/** How a backend is. @param now ms since 1970 */
export function backendState(
  worker: Pick<WorkerAnnouncement, "draining" | "seenAt">,
  backend: BackendAnnouncement,
  now: number,
): BackendState {
  if (!backend.healthy) return "down";
  if (brokenModels(backend).length > 0) return "failing";
  if (isSilent(worker, now)) return "silent";
  return worker.draining ? "draining" : "healthy";
}
