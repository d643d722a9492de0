import { Fault } from "../core/fault.ts";
import type { Dialect, Endpoint } from "../core/task.ts";
import { COUNT_TOKENS_PATH } from "./anthropic/count-tokens.ts";
import { anthropicServerCodecs } from "./anthropic/endpoints.ts";
import { anthropicFaults } from "./anthropic/faults.ts";
import { ollamaServerCodecs } from "./ollama/endpoints.ts";
import { ollamaFaults } from "./ollama/faults.ts";
import { openaiServerCodecs } from "./openai/endpoints.ts";
import { openaiFaults } from "./openai/faults.ts";
import { SURFACE, surfaceServerCodecs } from "./openai/surface.ts";
import type { FaultEncoder, ServerCodec } from "./codec.ts";

/** The path of an endpoint that takes tasks. */
interface TaskRoute {
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

const endpoints: ReadonlyMap<Endpoint, ServerCodec> = new Map(
  [...ollamaServerCodecs, ...openaiServerCodecs, ...surfaceServerCodecs, ...anthropicServerCodecs].map(
    (entry) => [entry.endpoint, entry],
  ),
);

/** The server codec of an endpoint. Throws `not_implemented` for an endpoint of a newer gateway. */
export function serverCodec(endpoint: Endpoint): ServerCodec {
  const found = endpoints.get(endpoint);
  if (found === undefined) throw new Fault("not_implemented", `this worker does not know ${endpoint}`);
  return found;
}

/** The fault encoder of a dialect. */
export function faultEncoder(dialect: Dialect): FaultEncoder {
  switch (dialect) {
    case "ollama":
      return ollamaFaults;
    case "openai":
      return openaiFaults;
    case "anthropic":
      return anthropicFaults;
  }
}
