import type { ServerCodec } from "../codec.ts";
import { openCountReply } from "./count-tokens.ts";
import { openMessageReply } from "./message-reply.ts";
import { validateCount, validateMessages, readAnthropicChat } from "./request.ts";

/** The server codecs of Anthropic's API: POST /v1/messages and count_tokens below it. */
export const anthropicServerCodecs: readonly ServerCodec[] = [
  {
    endpoint: "anthropic-messages",
    dialect: "anthropic",
    validate: validateMessages,
    decode: readAnthropicChat,
    reply: openMessageReply,
  },
  {
    endpoint: "anthropic-count-tokens",
    dialect: "anthropic",
    validate: validateCount,
    counts: true,
    decode: readAnthropicChat,
    reply: openCountReply,
  },
];
