import type { NeutralRequest } from "../../core/chat.ts";
import {
  droppedCommon,
  droppedOfFormat,
  droppedOfMessages,
  droppedThink,
  type Reach,
} from "../../protocols/dropped.ts";

/** The sampler has nothing for `typical_p`; what a runner is told is set when the weights are loaded. */
const REACH: Reach = {
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

/** The client's fields that the embedded model does nothing with; those it refuses are not among them. */
export function droppedFields(request: NeutralRequest): readonly string[] {
  if (request.kind === "load") return [];
  const common = droppedCommon(request, REACH);
  if (request.kind !== "chat") return common;
  // A wish to think that is not refused: that not to think is granted.
  const think = request.think === false ? [] : droppedThink(request);
  const messages = [...droppedOfMessages(request, "name"), ...droppedOfMessages(request, "thinking")];
  return [...common, ...think, ...droppedOfFormat(request), ...messages];
}
