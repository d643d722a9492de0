import type { ServerEndpoint } from "../protocol.ts";
import { openCountReply } from "./count-reply.ts";
import { openReply } from "./reply.ts";
import { openCount, openMessages, readChat } from "./request.ts";

/** What Anthropic clients see: POST /v1/messages and, below it, count_tokens. */
export const anthropicEndpoints: readonly ServerEndpoint[] = [
  {
    endpoint: "anthropic-messages",
    dialect: "anthropic",
    open: openMessages,
    decode: readChat,
    reply: openReply,
  },
  {
    endpoint: "anthropic-count-tokens",
    dialect: "anthropic",
    open: openCount,
    counts: true,
    decode: readChat,
    reply: openCountReply,
  },
];
