import type { ManagementEndpoint } from "../../core/management-endpoint.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type JsonObject } from "../../core/json.ts";
import { isModelName } from "../../core/model.ts";
import { modelNotFound } from "./faults.ts";
import { BodyFields, invalidRequest } from "../fields.ts";

/** Reads requests of Ollama's management API. Errors are in Ollama's words. */

/** Management requests whose JSON body names a model. */
export type ModelManagementEndpoint = Exclude<ManagementEndpoint, "ollama-blob-look" | "ollama-blob-put">;

interface ManagementRequestHead {
  /** The model as the client wrote it; the source of a copy. */
  readonly model: string;
  /** True when the client wants the progress streamed. */
  readonly stream: boolean;
}

const invalidName = (): Fault => new Fault("model_name_invalid", "invalid model name");

/** Throws `model_required`, `model_name_invalid` or `invalid_request`. */
export function readManagementHead(
  endpoint: ModelManagementEndpoint,
  body: JsonObject,
): ManagementRequestHead {
  if (endpoint === "ollama-copy") return readCopy(new BodyFields(body, "CopyRequest"));
  const fields = new BodyFields(body, STRUCTS[endpoint]);
  const model = fields.text("model") || fields.text("name");
  // Ollama reports a missing name as invalid at these two endpoints.
  const blankIsBad = endpoint === "ollama-pull" || endpoint === "ollama-create";
  if (model === "" && !blankIsBad) throw new Fault("model_required", "model is required");
  if (!isModelName(model)) throw invalidName();
  return { model, stream: fields.flag("stream") ?? true };
}

const STRUCTS: Readonly<Record<Exclude<ModelManagementEndpoint, "ollama-copy">, string>> = {
  "ollama-show": "ShowRequest",
  "ollama-pull": "PullRequest",
  "ollama-push": "PushRequest",
  "ollama-create": "CreateRequest",
  "ollama-delete": "DeleteRequest",
};

function readCopy(fields: BodyFields): ManagementRequestHead {
  const source = fields.text("source");
  const destination = fields.text("destination");
  if (!isModelName(source)) throw invalidRequest(`source ${JSON.stringify(source)} is invalid`);
  if (!isModelName(destination))
    throw invalidRequest(`destination ${JSON.stringify(destination)} is invalid`);
  return { model: source, stream: false };
}

/** The models that a checked body names beside its own: the destination of a copy, the base of a new model. */
export function furtherModels(endpoint: ModelManagementEndpoint, body: JsonObject): readonly string[] {
  const name = endpoint === "ollama-copy" ? "destination" : endpoint === "ollama-create" ? "from" : undefined;
  const model = name === undefined ? undefined : body[name];
  return typeof model === "string" && model !== "" ? [model] : [];
}

/** The fault of a model that no server has, in Ollama's words for the endpoint. */
export function managedModelNotFound(endpoint: ModelManagementEndpoint, model: string): Fault {
  if (endpoint === "ollama-copy")
    return new Fault("model_not_found", `model ${JSON.stringify(model)} not found`);
  return modelNotFound(model, endpoint);
}

/** The digest at the end of a path of a blob. Throws `invalid_request`. */
export function readDigest(path: string): string {
  const digest = path.slice(path.lastIndexOf("/") + 1);
  if (!/^sha256[:-][0-9a-f]{64}$/.test(digest)) throw invalidRequest("invalid digest format");
  return digest;
}

/**
 * Prefix of Copilot's user agent. Copilot shows the name from the metadata, so Ollama puts the requested name there.
 */
const COPILOT = "GitHubCopilotChat/";

/** The body of `POST /api/show` for this client. @param model as the client wrote it */
export function showBodyFor(userAgent: string, model: string, body: Buffer): Buffer {
  if (!userAgent.startsWith(COPILOT)) return body;
  const shown = JSON.parse(body.toString()) as JsonObject;
  const info = isObject(shown["model_info"]) ? shown["model_info"] : {};
  return Buffer.from(JSON.stringify({ ...shown, model_info: { ...info, "general.basename": model } }));
}
