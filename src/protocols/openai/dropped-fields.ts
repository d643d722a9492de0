import type { ChatRequest, GenerateRequest, NeutralRequest } from "../../core/chat.ts";
import { droppedCommonFields, droppedThinkField, type BackendSupport } from "../dropped-fields.ts";
import type { OpenAIProfile } from "./profiles.ts";

/** The form of a backend request: a chat, or a bare prompt with or without a suffix. */
type PromptForm = "chat" | "prompt";

/** The client's fields that a request of this form leaves out. */
export function openaiDroppedFields(
  request: NeutralRequest,
  form: PromptForm,
  profile: OpenAIProfile,
): readonly string[] {
  if (request.kind === "load") return [];
  const common = droppedCommonFields(request, supportOf(profile));
  if (request.kind === "embed") return common;
  const think = isThinkLost(request, form, profile) ? droppedThinkField(request) : [];
  if (request.kind === "chat") return [...common, ...think, ...droppedOfTools(request, profile)];
  return [...common, ...think, ...droppedOfPrompt(request, form)];
}

function supportOf(profile: OpenAIProfile): BackendSupport {
  return {
    sampling: new Set(Object.keys(profile.sampling)),
    runner: new Set(Object.keys(profile.runner)),
    keepAlive: false,
    extra: new Set(),
  };
}

/** A bare prompt has no template for thinking. Backends with efforts only have no on and off. */
function isThinkLost(
  { think }: ChatRequest | GenerateRequest,
  form: PromptForm,
  profile: OpenAIProfile,
): boolean {
  return form === "prompt" || (profile.think === "effort" && typeof think === "boolean");
}

/** Without `tool_choice` a backend ignores `parallel_tool_calls`. */
function droppedOfTools({ tools = [], parallelToolCalls }: ChatRequest, profile: OpenAIProfile): string[] {
  const lost = !profile.toolChoice && tools.length > 0 && parallelToolCalls === false;
  return lost ? ["parallel_tool_calls"] : [];
}

function droppedOfPrompt({ context, system, template }: GenerateRequest, form: PromptForm): string[] {
  const dropped = context === undefined ? [] : ["context"];
  if (form === "chat") return dropped;
  if (system !== undefined) dropped.push("system");
  if (template !== undefined) dropped.push("template");
  return dropped;
}
