/**
 * To whom a failure is put down. `request`: what this request asks for. `client`: what its sender did or set, like a
 * timeout of its own. `model`: one model of a backend. `backend`: the LLM server. `worker`, `gateway`: a process of ours.
 * `redis`: Redis.
 */
export type Cause = "request" | "client" | "model" | "backend" | "worker" | "gateway" | "redis";

export const CAUSES: readonly Cause[] = [
  "request",
  "client",
  "model",
  "backend",
  "worker",
  "gateway",
  "redis",
];

export function isCause(value: unknown): value is Cause {
  return CAUSES.some((cause) => cause === value);
}

/** Refusals of the key or account that the worker has at its backend: no client can mend them. */
const OURS: ReadonlySet<number> = new Set([401, 402, 403, 407]);

/** Whose affair an error status of a backend is, when nothing else is known. */
export function causeOfStatus(http: number): Cause {
  return http >= 500 || OURS.has(http) ? (http === 501 ? "request" : "backend") : "request";
}
