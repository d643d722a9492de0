import type { Sampling } from "../../core/chat.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { mismatch, numberField } from "../fields.ts";

/** Reads the fields that several endpoints share. */

/** Returns the fields that are not in `taken`; undefined for none. */
export function unknownFields(holder: JsonObject, taken: ReadonlySet<string>): JsonObject | undefined {
  const left = Object.keys(holder).filter((name) => !taken.has(name));
  return left.length === 0 ? undefined : Object.fromEntries(left.map((name) => [name, holder[name]]));
}

type NumberName = Exclude<keyof Sampling, "stop">;

/** Field names of each sampling value. The last one wins. `num_predict` and others are Ollama's options. */
const NUMBERS: Readonly<Record<NumberName, readonly string[]>> = {
  maxTokens: ["num_predict", "max_tokens", "max_completion_tokens"],
  temperature: ["temperature"],
  topP: ["top_p"],
  topK: ["top_k"],
  minP: ["min_p"],
  typicalP: ["typical_p"],
  seed: ["seed"],
  presencePenalty: ["presence_penalty"],
  frequencyPenalty: ["frequency_penalty"],
  repeatPenalty: ["repeat_penalty", "repetition_penalty"],
  repeatLastN: ["repeat_last_n"],
};
const NUMBER_ENTRIES = Object.entries(NUMBERS);
const SAMPLING_NAMES = new Set(["stop", ...Object.values(NUMBERS).flat()]);

/** Sampling values under OpenAI's names and extensions. Throws `invalid_request`. */
export function readSampling(holder: JsonObject): Sampling {
  const found: Record<string, number | readonly string[]> = {};
  for (const [key, names] of NUMBER_ENTRIES) {
    for (const name of names) {
      const value = numberField(holder, name);
      if (value !== undefined) found[key] = value;
    }
  }
  const stop = readStop(holder["stop"] ?? undefined);
  if (stop !== undefined) found["stop"] = stop;
  return found;
}

/** Reads Ollama's `options` as an extension: sampling values, and options of the model runner. */
export function readOptionsExtension(options: JsonObject | undefined): {
  inner: Sampling;
  runner: JsonObject | undefined;
} {
  if (options === undefined) return { inner: {}, runner: undefined };
  return { inner: readSampling(options), runner: unknownFields(options, SAMPLING_NAMES) };
}

function readStop(stop: Json | undefined): readonly string[] | undefined {
  if (stop === undefined) return undefined;
  if (typeof stop === "string") return [stop];
  if (Array.isArray(stop) && stop.every((text) => typeof text === "string")) return stop;
  throw mismatch("stop", stop, "string or []string");
}

/** Reads Ollama's keep_alive as an extension (seconds or a Go duration). */
export function readKeepAliveExtension(body: JsonObject): number | string | undefined {
  const value = body["keep_alive"] ?? undefined;
  if (value === undefined || typeof value === "number" || typeof value === "string") return value;
  throw mismatch("keep_alive", value, "api.Duration");
}
