import { failingQueues, circuitStateOf, isServing } from "./fleet.ts";
import type { BackendAnnouncement, WorkerAnnouncement } from "./fleet.ts";
import type { ModelCard } from "./model.ts";

/**
 * The single source for which backends accept tasks of a model: for `sgnet status`, `top`, the live page, metrics and
 * retries. Residency is separate: a drained worker's models stay loaded.
 */

/** A backend that accepts tasks of a model. */
interface ModelOffer {
  readonly worker: WorkerAnnouncement;
  readonly backend: BackendAnnouncement;
  readonly card: ModelCard;
  /** Concurrent tasks of the model that it accepts: 1 while its circuit is half-open or paced. */
  readonly slots: number;
}

/** The backends that accept tasks of a model (by its key): healthy, not draining, the circuit not open. */
export function offersOf(workers: readonly WorkerAnnouncement[], model: string): ModelOffer[] {
  return workers.flatMap((worker) =>
    worker.backends.flatMap((backend) => {
      const card = backend.models.find(({ key }) => key === model);
      const slots = takesTasks(worker, backend) ? slotsFor(backend, model) : 0;
      return card === undefined || slots === 0 ? [] : [{ worker, backend, card, slots }];
    }),
  );
}

/** Keys of all models that some backend accepts tasks of. */
export function offeredModels(workers: readonly WorkerAnnouncement[]): ReadonlySet<string> {
  const keys = workers.flatMap((worker) =>
    worker.backends
      .filter((backend) => takesTasks(worker, backend))
      .flatMap((backend) => backend.models.filter(({ key }) => slotsFor(backend, key) > 0)),
  );
  return new Set(keys.map(({ key }) => key));
}

/** True when a backend accepts tasks of some model. A backend without models counts as well: it may get one. */
export function takesTasks(
  worker: Pick<WorkerAnnouncement, "draining">,
  backend: BackendAnnouncement,
): boolean {
  if (worker.draining || !backend.healthy) return false;
  return backend.models.length === 0 || backend.models.some(({ key }) => slotsFor(backend, key) > 0);
}

function slotsFor(backend: BackendAnnouncement, model: string): number {
  const state = circuitStateOf(backend, model);
  if (state === "open") return 0;
  return isServing(state) ? backend.slots : Math.min(1, backend.slots);
}

/** The health of a backend, the worst first. */
export type BackendHealth = "down" | "failing" | "silent" | "draining" | "healthy";

/** A silence of a worker that is shown to people, ms. Workers announce themselves every 3 s. */
const LONG_SILENCE_MS = 8000;

/** True when a worker has been silent for longer than a live one. @param now ms since 1970 */
export function isSilent({ seenAt }: Pick<WorkerAnnouncement, "seenAt">, now: number): boolean {
  return now - seenAt > LONG_SILENCE_MS;
}

/** The health of a backend. @param now ms since 1970 */
export function backendHealth(
  worker: Pick<WorkerAnnouncement, "draining" | "seenAt">,
  backend: BackendAnnouncement,
  now: number,
): BackendHealth {
  if (!backend.healthy) return "down";
  if (failingQueues(backend).length > 0) return "failing";
  if (isSilent(worker, now)) return "silent";
  return worker.draining ? "draining" : "healthy";
}
