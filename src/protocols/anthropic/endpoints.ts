import type { ServerEndpoint } from "../protocol.ts";
import { openReply } from "./reply.ts";
import { openMessages, readChat } from "./request.ts";

/** What Anthropic clients see: POST /v1/messages. */
export const anthropicEndpoints: readonly ServerEndpoint[] = [
  {
    endpoint: "anthropic-messages",
    dialect: "anthropic",
    open: openMessages,
    decode: readChat,
    reply: openReply,
  },
];
