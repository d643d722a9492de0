import type { ChatRequest, ContentPart, NeutralRequest, Sampling } from "../../core/chat.ts";
import {
  droppedCommonFields,
  droppedFormatFields,
  droppedMessageField,
  type BackendSupport,
} from "../dropped-fields.ts";

const SAMPLING: ReadonlySet<keyof Sampling> = new Set([
  "maxTokens",
  "temperature",
  "topP",
  "topK",
  "minP",
  "typicalP",
  "seed",
  "stop",
  "presencePenalty",
  "frequencyPenalty",
  "repeatPenalty",
  "repeatLastN",
]);

/** The fields without a neutral form that Ollama reads at /api/chat and /api/generate. */
const TEXT_SUPPORT: BackendSupport = {
  sampling: SAMPLING,
  keepAlive: true,
  extra: new Set(["truncate", "shift", "_debug_render_only"]),
};
const EMBED_SUPPORT: BackendSupport = { sampling: SAMPLING, keepAlive: true, extra: new Set() };

/** The client's fields without a counterpart in Ollama's API. */
export function ollamaDroppedFields(request: NeutralRequest): readonly string[] {
  switch (request.kind) {
    case "load":
      return [];
    case "embed":
      return droppedCommonFields(request, EMBED_SUPPORT);
    case "generate":
      return droppedCommonFields(request, TEXT_SUPPORT);
    case "chat":
      return [
        ...droppedCommonFields(request, TEXT_SUPPORT),
        ...droppedOfTools(request),
        ...droppedFormatFields(request),
        ...droppedMessageField(request, "name"),
        ...droppedOfImages(request),
      ];
  }
}

/** Ollama supports neither forced tool calls nor a limit to one call. */
function droppedOfTools({ tools = [], toolChoice, parallelToolCalls }: ChatRequest): readonly string[] {
  if (tools.length === 0 || toolChoice === "none") return [];
  const choice = toolChoice === undefined || toolChoice === "auto" ? [] : ["tool_choice"];
  return parallelToolCalls === false ? [...choice, "parallel_tool_calls"] : choice;
}

function droppedOfImages({ messages }: ChatRequest): readonly string[] {
  return messages.some(({ content }) => content.some(asksForDetail)) ? ["messages.detail"] : [];
}

/** True for a detail other than "auto". Ollama has one resolution for all images. */
function asksForDetail(part: ContentPart): boolean {
  return part.type === "image" && part.detail !== undefined && part.detail !== "auto";
}
