import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { parseExact } from "../exact.ts";
import type { BackendRequest, Passthrough, PassthroughOptions, Relay } from "../protocol.ts";
import { wantsUsage } from "./choices-reply.ts";
import { CHAT_PATH, COMPLETIONS_PATH } from "./encode.ts";
import type { OpenAIProfile } from "./profiles.ts";
import { checkChoices, StreamRelay, WholeRelay } from "./relay.ts";
import { isSystemLate, withSystemFirst } from "../system-first.ts";

/** Passes a client's chat completion through to a backend of this profile. */
export function chatPassthrough(profile: OpenAIProfile): Passthrough {
  return {
    request: (options) => passTo(CHAT_PATH, options, profile),
    relay: passReply,
  };
}

/**
 * Passes a client's text completion through to a backend of this profile. A suffix only goes where the backend
 * minds it at this path.
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
  if (!options.stream) return new WholeRelay(options.asked, checkChoices);
  return new StreamRelay({
    asked: options.asked,
    wantsUsage: asksUsage(options.body),
    choices: () => countChoices(parseBody(options.body)),
  });
}

/** Every prompt of a list gets its own choices. */
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

/** The token counts of a stream are always asked for: they are counted even if the client does not want them. */
function passBody(options: PassthroughOptions, profile: OpenAIProfile): BackendRequest["body"] {
  const { body, asked, model, stream } = options;
  const isOdd =
    (!profile.maxCompletionTokens && body.includes('"max_completion_tokens"')) ||
    (!profile.streamOptions && body.includes('"stream_options"')) ||
    (profile.systemFirst && isSystemLate(parseBody(body)));
  if (isOdd) return rewrite(options, profile);
  const named = asked === model ? body : replaceModel(body, asked, model);
  const complete = named !== undefined && stream && profile.streamOptions ? addUsage(named) : named;
  return complete ?? rewrite(options, profile);
}

function asksUsage(body: Buffer): boolean {
  return body.includes('"include_usage"') && wantsUsage(parseBody(body));
}

/**
 * The body with another model, by bytes; undefined when it is not plain which string that is: the key must
 * occur once, so it cannot be one inside a schema or metadata.
 */
export function replaceModel(body: Buffer, asked: string, model: string): Buffer | undefined {
  const key = Buffer.from('"model"');
  const at = body.indexOf(key);
  if (at < 0 || body.includes(key, at + key.length)) return undefined;
  const colon = skipSpace(body, at + key.length);
  const from = skipSpace(body, colon + 1);
  const written = Buffer.from(JSON.stringify(asked));
  const to = from + written.length;
  if (body[colon] !== COLON || !body.subarray(from, to).equals(written)) return undefined;
  return Buffer.concat([body.subarray(0, from), Buffer.from(JSON.stringify(model)), body.subarray(to)]);
}

const COLON = 0x3a;
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d]);

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (SPACES.has(bytes[at] ?? 0)) at++;
  return at;
}

/** The body with the token counts asked for, by bytes; undefined when it has stream options of its own. */
function addUsage(body: Buffer): Buffer | undefined {
  if (body.includes('"stream_options"')) return asksUsage(body) ? body : undefined;
  const brace = body.indexOf("{") + 1;
  const field = Buffer.from('"stream_options":{"include_usage":true},');
  return Buffer.concat([body.subarray(0, brace), field, body.subarray(brace)]);
}

/** The body written anew, for the cases that bytes cannot tell. */
function rewrite(options: PassthroughOptions, profile: OpenAIProfile): string {
  const body = parseBody(options.body, parseExact);
  const fields: JsonObject = {
    ...(profile.systemFirst ? withSystemFirst(body) : body),
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
 * The client's body as JSON. Throws `bad_json`.
 * @param parse `parseExact` for what is only written again
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
