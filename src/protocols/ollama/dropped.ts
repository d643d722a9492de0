import type { ChatRequest, ContentPart, NeutralRequest, Sampling } from "../../core/chat.ts";
import { droppedCommon, droppedOfFormat, droppedOfMessages, type Reach } from "../dropped.ts";

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

/** Ollama reads these of its fields that have no neutral form, at /api/chat and /api/generate. */
const TEXT_REACH: Reach = {
  sampling: SAMPLING,
  keepAlive: true,
  extra: new Set(["truncate", "shift", "_debug_render_only"]),
};
const EMBED_REACH: Reach = { sampling: SAMPLING, keepAlive: true, extra: new Set() };

/** The client's fields that Ollama has no counterpart for. */
export function droppedFields(request: NeutralRequest): readonly string[] {
  switch (request.kind) {
    case "load":
      return [];
    case "embed":
      return droppedCommon(request, EMBED_REACH);
    case "generate":
      return droppedCommon(request, TEXT_REACH);
    case "chat":
      return [
        ...droppedCommon(request, TEXT_REACH),
        ...droppedOfTools(request),
        ...droppedOfFormat(request),
        ...droppedOfMessages(request, "name"),
        ...droppedOfImages(request),
      ];
  }
}

/** Ollama can neither be made to call a tool nor be kept from calling two. */
function droppedOfTools({ tools = [], toolChoice, parallelToolCalls }: ChatRequest): readonly string[] {
  if (tools.length === 0 || toolChoice === "none") return [];
  const choice = toolChoice === undefined || toolChoice === "auto" ? [] : ["tool_choice"];
  return parallelToolCalls === false ? [...choice, "parallel_tool_calls"] : choice;
}

function droppedOfImages({ messages }: ChatRequest): readonly string[] {
  return messages.some(({ content }) => content.some(asksForDetail)) ? ["messages.detail"] : [];
}

/** Ollama looks at every image in the same way, which is what "auto" leaves to it. */
function asksForDetail(part: ContentPart): boolean {
  return part.type === "image" && part.detail !== undefined && part.detail !== "auto";
}
