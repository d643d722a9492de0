import type { Errand } from "../../core/errand.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type JsonObject } from "../../core/json.ts";
import { isModelName } from "../../core/model.ts";
import { modelNotFound } from "./faults.ts";
import { Fields, refusal } from "../fields.ts";

/** Reads the requests of Ollama's management API, with its own words for what is wrong. */

/** Errands about a model that is named in a JSON body. */
export type ModelErrand = Exclude<Errand, "ollama-blob-look" | "ollama-blob-put">;

export interface ManagementOrder {
  /** As the client wrote it; of a copy its source. */
  readonly model: string;
  /** True when the client wants to see the progress. */
  readonly stream: boolean;
}

const invalidName = (): Fault => new Fault("model_name_invalid", "invalid model name");

/** Throws `model_required`, `model_name_invalid` or `invalid_request`. */
export function readOrder(errand: ModelErrand, body: JsonObject): ManagementOrder {
  if (errand === "ollama-copy") return readCopy(new Fields(body, "CopyRequest"));
  const fields = new Fields(body, STRUCTS[errand]);
  const model = fields.text("model") || fields.text("name");
  // Two of them take a missing name for a bad one.
  const blankIsBad = errand === "ollama-pull" || errand === "ollama-create";
  if (model === "" && !blankIsBad) throw new Fault("model_required", "model is required");
  if (!isModelName(model)) throw invalidName();
  return { model, stream: fields.flag("stream") ?? true };
}

const STRUCTS: Readonly<Record<Exclude<ModelErrand, "ollama-copy">, string>> = {
  "ollama-show": "ShowRequest",
  "ollama-pull": "PullRequest",
  "ollama-push": "PushRequest",
  "ollama-create": "CreateRequest",
  "ollama-delete": "DeleteRequest",
};

function readCopy(fields: Fields): ManagementOrder {
  const source = fields.text("source");
  const destination = fields.text("destination");
  if (!isModelName(source)) throw refusal(`source ${JSON.stringify(source)} is invalid`);
  if (!isModelName(destination)) throw refusal(`destination ${JSON.stringify(destination)} is invalid`);
  return { model: source, stream: false };
}

/** The phrase of a model that no server has, where it was to be managed. */
export function notManaged(errand: ModelErrand, model: string): Fault {
  if (errand === "ollama-copy")
    return new Fault("model_not_found", `model ${JSON.stringify(model)} not found`);
  return modelNotFound(model, errand);
}

/** The digest at the end of a path of a blob. Throws `invalid_request`. */
export function readDigest(path: string): string {
  const digest = path.slice(path.lastIndexOf("/") + 1);
  if (!/^sha256[:-][0-9a-f]{64}$/.test(digest)) throw refusal("invalid digest format");
  return digest;
}

/** Copilot shows a model by the name in its metadata: Ollama tells it the name that was asked for. */
const COPILOT = "GitHubCopilotChat/";

/** The body of a shown model as this client is to see it. @param model as the client wrote it */
export function shownTo(userAgent: string, model: string, body: Buffer): Buffer {
  if (!userAgent.startsWith(COPILOT)) return body;
  const shown = JSON.parse(body.toString()) as JsonObject;
  const info = isObject(shown["model_info"]) ? shown["model_info"] : {};
  return Buffer.from(JSON.stringify({ ...shown, model_info: { ...info, "general.basename": model } }));
}
