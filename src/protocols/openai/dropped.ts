import type { ChatRequest, GenerateRequest, NeutralRequest } from "../../core/chat.ts";
import { droppedCommon, droppedThink, type Reach } from "../dropped.ts";
import type { OpenAIProfile } from "./profiles.ts";

/** As what a request goes out: as a chat, or as a bare prompt (with a suffix or without). */
export type Form = "chat" | "prompt";

/** The client's fields that a request of this form to a backend of this profile leaves out. */
export function droppedFields(
  request: NeutralRequest,
  form: Form,
  profile: OpenAIProfile,
): readonly string[] {
  if (request.kind === "load") return [];
  const common = droppedCommon(request, reachOf(profile));
  if (request.kind === "embed") return common;
  const think = isThinkLost(request, form, profile) ? droppedThink(request) : [];
  if (request.kind === "chat") return [...common, ...think, ...droppedOfTools(request, profile)];
  return [...common, ...think, ...droppedOfPrompt(request, form)];
}

function reachOf(profile: OpenAIProfile): Reach {
  return {
    sampling: new Set(Object.keys(profile.sampling)),
    runner: new Set(Object.keys(profile.runner)),
    keepAlive: false,
    extra: new Set(),
  };
}

/** A bare prompt has no template to think by; yes and no have no word where only efforts have one. */
function isThinkLost({ think }: ChatRequest | GenerateRequest, form: Form, profile: OpenAIProfile): boolean {
  return form === "prompt" || (profile.think === "effort" && typeof think === "boolean");
}

/** Without `tool_choice` a backend minds `parallel_tool_calls` no more. */
function droppedOfTools({ tools = [], parallelToolCalls }: ChatRequest, profile: OpenAIProfile): string[] {
  const lost = !profile.toolChoice && tools.length > 0 && parallelToolCalls === false;
  return lost ? ["parallel_tool_calls"] : [];
}

function droppedOfPrompt({ context, system, template }: GenerateRequest, form: Form): string[] {
  const dropped = context === undefined ? [] : ["context"];
  if (form === "chat") return dropped;
  if (system !== undefined) dropped.push("system");
  if (template !== undefined) dropped.push("template");
  return dropped;
}
