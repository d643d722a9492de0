/**
 * Requests of Ollama's management API, which a worker forwards to one Ollama server. They travel like tasks, in a
 * queue of that server instead of a model's queue.
 */

export type ManagementEndpoint =
  | "ollama-show"
  | "ollama-pull"
  | "ollama-push"
  | "ollama-create"
  | "ollama-copy"
  | "ollama-delete"
  | "ollama-blob-look"
  | "ollama-blob-put";

interface ManagementKind {
  readonly method: "GET" | "HEAD" | "POST" | "DELETE";
  /** A path that ends with a slash is completed by the task's model, which is the digest of a blob. */
  readonly path: string;
  /** True when the server streams its progress. */
  readonly stream: boolean;
  /** Most time for the request, ms. */
  readonly lifeMs: number;
  /** True when the request may change the models of the server. */
  readonly changes: boolean;
}

const QUICK_MS = 20_000;
const DAY_MS = 86_400_000;

export const MANAGEMENT_ENDPOINTS: Readonly<Record<ManagementEndpoint, ManagementKind>> = {
  "ollama-show": { method: "POST", path: "/api/show", stream: false, lifeMs: QUICK_MS, changes: false },
  "ollama-pull": { method: "POST", path: "/api/pull", stream: true, lifeMs: DAY_MS, changes: true },
  "ollama-push": { method: "POST", path: "/api/push", stream: true, lifeMs: DAY_MS, changes: false },
  "ollama-create": { method: "POST", path: "/api/create", stream: true, lifeMs: DAY_MS, changes: true },
  "ollama-copy": { method: "POST", path: "/api/copy", stream: false, lifeMs: QUICK_MS, changes: true },
  "ollama-delete": { method: "DELETE", path: "/api/delete", stream: false, lifeMs: QUICK_MS, changes: true },
  "ollama-blob-look": {
    method: "HEAD",
    path: "/api/blobs/",
    stream: false,
    lifeMs: QUICK_MS,
    changes: false,
  },
  "ollama-blob-put": { method: "POST", path: "/api/blobs/", stream: false, lifeMs: DAY_MS, changes: false },
};

export function isManagementEndpoint(endpoint: string): endpoint is ManagementEndpoint {
  return Object.hasOwn(MANAGEMENT_ENDPOINTS, endpoint);
}

/** The queue of a worker's backend for management requests. No model key begins with an at sign. */
export function managementQueueKey(worker: string, backend: string): string {
  return `@${worker}/${backend}`;
}
