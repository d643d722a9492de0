/**
 * The party that a failure is attributed to.
 * - `request`: the content of the request.
 * - `client`: an action or a setting of its sender, such as a short timeout.
 * - `model`: one model of a backend.
 * - `backend`: the LLM server.
 * - `worker`, `gateway`: a process of this product.
 * - `redis`: Redis.
 */
export type Cause = "request" | "client" | "model" | "backend" | "worker" | "gateway" | "redis";

const CAUSES: readonly Cause[] = ["request", "client", "model", "backend", "worker", "gateway", "redis"];

export function isCause(value: unknown): value is Cause {
  return CAUSES.some((cause) => cause === value);
}

/** Statuses by which a backend refuses the worker's key, rights or account. Only the operator can resolve them. */
const WORKER_REFUSALS: ReadonlySet<number> = new Set([401, 402, 403, 407]);

/** True for a status that concerns the worker and not the request. A client would blame its own key for it. */
export function refusesWorker(status: number | undefined): boolean {
  return status !== undefined && WORKER_REFUSALS.has(status);
}

/** The cause of a backend's error status when nothing else is known. */
export function causeOfStatus(http: number): Cause {
  return http >= 500 || refusesWorker(http) ? (http === 501 ? "request" : "backend") : "request";
}
