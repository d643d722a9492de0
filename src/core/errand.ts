/**
 * Errands: requests of Ollama's management API that a worker passes on to one Ollama server of its own. They travel
 * like tasks, in a queue of that server's own instead of a model's.
 */

export type Errand =
  | "ollama-show"
  | "ollama-pull"
  | "ollama-push"
  | "ollama-create"
  | "ollama-copy"
  | "ollama-delete"
  | "ollama-blob-look"
  | "ollama-blob-put";

export interface ErrandKind {
  readonly method: "GET" | "HEAD" | "POST" | "DELETE";
  /** A path that ends with a slash is completed by the task's model: the digest of a blob. */
  readonly path: string;
  /** True when progress is told as it goes. */
  readonly stream: boolean;
  /** How long it may take, ms. */
  readonly lifeMs: number;
  /** True when the models of the server may be others afterwards. */
  readonly changes: boolean;
}

const QUICK_MS = 20_000;
const DAY_MS = 86_400_000;

export const ERRANDS: Readonly<Record<Errand, ErrandKind>> = {
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

export function isErrand(endpoint: string): endpoint is Errand {
  return Object.hasOwn(ERRANDS, endpoint);
}

/** The queue of a worker's backend for errands; no model's key begins with an at sign. */
export function errandKey(worker: string, backend: string): string {
  return `@${worker}/${backend}`;
}
