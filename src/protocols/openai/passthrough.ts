import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { COLON, skipBlanks } from "../../wire/json-bytes.ts";
import { parseLossless } from "../lossless-json.ts";
import type { BackendRequest, Passthrough, PassthroughOptions, Relay } from "../codec.ts";
import { wantsUsage } from "./choice-writers.ts";
import { CHAT_COMPLETIONS_PATH, COMPLETIONS_PATH } from "./encode.ts";
import type { OpenAIProfile } from "./profiles.ts";
import { checkChoices, ObjectRelay } from "./object-relay.ts";
import { EventStreamRelay } from "./stream-relay.ts";
import { hasLateSystemMessage, withMergedSystem } from "../system-message.ts";

/** The passthrough of chat completions to a backend of this profile. */
export function chatPassthrough(profile: OpenAIProfile): Passthrough {
  return {
    request: (options) => passTo(CHAT_COMPLETIONS_PATH, options, profile),
    relay: passReply,
  };
}

/**
 * The passthrough of text completions to a backend of this profile. A suffix passes only where the backend reads it
 * at this path.
 */
export function completionPassthrough(profile: OpenAIProfile): Passthrough {
  return {
    carries: (body) => profile.suffix === "completions" || !hasSuffix(body),
    request: (options) => passTo(COMPLETIONS_PATH, options, profile),
    relay: passReply,
  };
}

function hasSuffix(bytes: Buffer): boolean {
  return bytes.includes('"suffix"') && Boolean(parseBody(bytes)["suffix"]);
}

function passReply(options: PassthroughOptions): Relay {
  if (!options.stream) return new ObjectRelay(options.asked, checkChoices);
  return new EventStreamRelay({
    asked: options.asked,
    wantsUsage: asksUsage(options.body),
    choices: () => countChoices(parseBody(options.body)),
  });
}

/** Counts the choices of all prompts. */
function countChoices({ n, prompt }: { readonly n?: Json; readonly prompt?: Json }): number {
  const isList = Array.isArray(prompt) && typeof prompt[0] !== "number";
  return (typeof n === "number" ? n : 1) * (isList ? prompt.length : 1);
}

function passTo(path: string, options: PassthroughOptions, kind: OpenAIProfile): BackendRequest {
  const profile = { ...kind, ...options.learned };
  const request = { path, body: passBody(options, profile) };
  const isLost = options.stream && !profile.streamOptions && asksUsage(options.body);
  return isLost ? { ...request, dropped: ["stream_options"] } : request;
}

/** Requests the token counts of every stream. The gateway needs them even if the client does not. */
function passBody(options: PassthroughOptions, profile: OpenAIProfile): BackendRequest["body"] {
  const { body, asked, model, stream } = options;
  const needsRewrite =
    (!profile.maxCompletionTokens && body.includes('"max_completion_tokens"')) ||
    (!profile.streamOptions && body.includes('"stream_options"')) ||
    (profile.systemFirst && hasLateSystemMessage(parseBody(body)));
  if (needsRewrite) return rewrite(options, profile);
  const named = asked === model ? body : replaceModel(body, asked, model);
  const complete = named !== undefined && stream && profile.streamOptions ? addUsage(named) : named;
  return complete ?? rewrite(options, profile);
}

function asksUsage(body: Buffer): boolean {
  return body.includes('"include_usage"') && wantsUsage(parseBody(body));
}

/**
 * Replaces the model in the bytes of a body. Undefined when the key occurs more than once: one could be inside a
 * schema or metadata.
 */
export function replaceModel(body: Buffer, asked: string, model: string): Buffer | undefined {
  const key = Buffer.from('"model"');
  const at = body.indexOf(key);
  if (at < 0 || body.includes(key, at + key.length)) return undefined;
  const colon = skipBlanks(body, at + key.length);
  const from = skipBlanks(body, colon + 1);
  const written = Buffer.from(JSON.stringify(asked));
  const to = from + written.length;
  if (body[colon] !== COLON || !body.subarray(from, to).equals(written)) return undefined;
  return Buffer.concat([body.subarray(0, from), Buffer.from(JSON.stringify(model)), body.subarray(to)]);
}

/** Requests token counts in the bytes of a body. Undefined when it has stream options of its own. */
function addUsage(body: Buffer): Buffer | undefined {
  if (body.includes('"stream_options"')) return asksUsage(body) ? body : undefined;
  const brace = body.indexOf("{") + 1;
  const field = Buffer.from('"stream_options":{"include_usage":true},');
  return Buffer.concat([body.subarray(0, brace), field, body.subarray(brace)]);
}

/** Writes the body anew, where bytes cannot be patched. */
function rewrite(options: PassthroughOptions, profile: OpenAIProfile): string {
  const body = parseBody(options.body, parseLossless);
  const fields: JsonObject = {
    ...(profile.systemFirst ? withMergedSystem(body) : body),
    model: options.model,
  };
  if (!profile.streamOptions) delete fields["stream_options"];
  else if (options.stream) {
    const own = isObject(body["stream_options"]) ? body["stream_options"] : {};
    fields["stream_options"] = { ...own, include_usage: true };
  }
  if (!profile.maxCompletionTokens)
    fields["max_tokens"] = body["max_completion_tokens"] ?? body["max_tokens"];
  return JSON.stringify(fields);
}

/**
 * Parses the client's body. Throws `bad_json`.
 * @param parse `parseLossless` for a body that is only written again
 */
export function parseBody(body: Buffer, parse: (text: string) => unknown = JSON.parse): JsonObject {
  let value: unknown;
  try {
    value = parse(body.toString("utf8"));
  } catch (error) {
    throw new Fault("bad_json", "the request is not JSON", { cause: error });
  }
  if (isObject(value)) return value;
  throw new Fault("bad_json", "the request is not a JSON object");
}
