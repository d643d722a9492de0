import type { NeutralRequest } from "../../core/chat.ts";
import {
  droppedCommonFields,
  droppedFormatFields,
  droppedMessageField,
  droppedThinkField,
  type BackendSupport,
} from "../../protocols/dropped-fields.ts";

/**
 * Fields that the embedded model supports. The sampler lacks `typical_p`, and runner options are fixed when the weights
 * are loaded.
 */
const SUPPORT: BackendSupport = {
  sampling: new Set([
    "maxTokens",
    "temperature",
    "topP",
    "topK",
    "minP",
    "seed",
    "stop",
    "presencePenalty",
    "frequencyPenalty",
    "repeatPenalty",
    "repeatLastN",
  ]),
  runner: new Set(),
  keepAlive: false,
  extra: new Set(),
};

/** Client fields that the embedded model ignores. Refused fields are not among them. */
export function droppedFields(request: NeutralRequest): readonly string[] {
  if (request.kind === "load") return [];
  const common = droppedCommonFields(request, SUPPORT);
  if (request.kind !== "chat") return common;
  // A wish not to think is granted; other wishes that were not refused are ignored.
  const think = request.think === false ? [] : droppedThinkField(request);
  const messages = [...droppedMessageField(request, "name"), ...droppedMessageField(request, "thinking")];
  return [...common, ...think, ...droppedFormatFields(request), ...messages];
}
