import { Fault } from "../core/fault.ts";
import type { Dialect, Endpoint } from "../core/task.ts";
import { COUNT_TOKENS_PATH } from "./anthropic/count-passthrough.ts";
import { anthropicEndpoints } from "./anthropic/endpoints.ts";
import { anthropicFaults } from "./anthropic/faults.ts";
import { ollamaEndpoints } from "./ollama/endpoints.ts";
import { ollamaFaults } from "./ollama/faults.ts";
import { openaiEndpoints } from "./openai/endpoints.ts";
import { openaiFaults } from "./openai/faults.ts";
import { SURFACE, surfaceEndpoints } from "./openai/surface.ts";
import type { FaultFace, ServerEndpoint } from "./protocol.ts";

/** Where the endpoints that take tasks are found. */
export interface TaskRoute {
  readonly method: "POST";
  readonly path: string;
  readonly endpoint: Endpoint;
}

/** Every path that takes tasks. */
export const TASK_ROUTES: readonly TaskRoute[] = [
  { method: "POST", path: "/api/generate", endpoint: "ollama-generate" },
  { method: "POST", path: "/api/chat", endpoint: "ollama-chat" },
  { method: "POST", path: "/api/embed", endpoint: "ollama-embed" },
  { method: "POST", path: "/api/embeddings", endpoint: "ollama-embeddings" },
  { method: "POST", path: "/v1/chat/completions", endpoint: "openai-chat" },
  { method: "POST", path: "/v1/completions", endpoint: "openai-completion" },
  { method: "POST", path: "/v1/embeddings", endpoint: "openai-embeddings" },
  { method: "POST", path: "/v1/responses", endpoint: "openai-responses" },
  { method: "POST", path: "/v1/messages", endpoint: "anthropic-messages" },
  { method: "POST", path: COUNT_TOKENS_PATH, endpoint: "anthropic-count-tokens" },
  ...SURFACE.flatMap(({ endpoint, paths }) =>
    paths.map(({ path }): TaskRoute => ({ method: "POST", path, endpoint })),
  ),
];

const endpoints: ReadonlyMap<Endpoint, ServerEndpoint> = new Map(
  [...ollamaEndpoints, ...openaiEndpoints, ...surfaceEndpoints, ...anthropicEndpoints].map((entry) => [
    entry.endpoint,
    entry,
  ]),
);

/** The server face of an endpoint. Throws `not_implemented` for one that this version does not know: a newer gateway's. */
export function serverEndpoint(endpoint: Endpoint): ServerEndpoint {
  const found = endpoints.get(endpoint);
  if (found === undefined) throw new Fault("not_implemented", `this worker does not know ${endpoint}`);
  return found;
}

/** How faults are told in a dialect. */
export function faultFace(dialect: Dialect): FaultFace {
  switch (dialect) {
    case "ollama":
      return ollamaFaults;
    case "openai":
      return openaiFaults;
    case "anthropic":
      return anthropicFaults;
  }
}
