import { Fault, type FaultOptions } from "../core/fault.ts";

/**
 * Statuses by which a backend refuses the worker: its key, its rights, its account. They are the operator's matter. A
 * client that was told them would look for the mistake in its own key.
 */
const REFUSALS: ReadonlySet<number> = new Set([401, 402, 403, 407]);

/** True for a status that is about the worker and not about the request. */
export function refusesWorker(status: number | undefined): boolean {
  return status !== undefined && REFUSALS.has(status);
}

/** The fault of such a refusal, for a client: 502, with the backend's words. */
export function workerRefused(
  status: number | undefined,
  message: string,
  options: FaultOptions = {},
): Fault {
  const told = `the backend refused its worker with status ${status}: ${message}`;
  return new Fault("backend_error", told, { ...options, http: 502 });
}
