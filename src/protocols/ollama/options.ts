import type { Sampling } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { invalidRequest } from "../fields.ts";

/** Types of Ollama's options, in Ollama's words. */
type OptionType = "integer" | "float32" | "boolean" | "array";

interface Option {
  readonly type: OptionType;
  /** The field of the neutral request. Absent: an option of the runner. */
  readonly field?: keyof Sampling;
  /** Smallest value with a common meaning. Lower values are Ollama's sentinels. */
  readonly least?: number;
}

/** All options of Ollama with a type. Others are passed on unchecked. */
const OPTIONS: ReadonlyMap<string, Option> = new Map<string, Option>([
  ["num_predict", { type: "integer", field: "maxTokens", least: 1 }],
  ["temperature", { type: "float32", field: "temperature" }],
  ["top_p", { type: "float32", field: "topP" }],
  ["top_k", { type: "integer", field: "topK" }],
  ["min_p", { type: "float32", field: "minP" }],
  ["typical_p", { type: "float32", field: "typicalP" }],
  ["seed", { type: "integer", field: "seed", least: 0 }],
  ["stop", { type: "array", field: "stop" }],
  ["presence_penalty", { type: "float32", field: "presencePenalty" }],
  ["frequency_penalty", { type: "float32", field: "frequencyPenalty" }],
  ["repeat_penalty", { type: "float32", field: "repeatPenalty" }],
  ["repeat_last_n", { type: "integer", field: "repeatLastN" }],
  ["num_keep", { type: "integer" }],
  ["num_ctx", { type: "integer" }],
  ["num_batch", { type: "integer" }],
  ["num_gpu", { type: "integer" }],
  ["main_gpu", { type: "integer" }],
  ["num_thread", { type: "integer" }],
  ["draft_num_predict", { type: "integer" }],
  ["use_mmap", { type: "boolean" }],
]);

/** The `options` of a body, split into common sampling and Ollama's runner options. */
interface ReadOptions {
  readonly sampling: Sampling;
  readonly runner?: JsonObject;
}

/** Reads `options`. null counts as unset; fractions of integers are cut. Throws `invalid_request`. */
export function readOptions(options: JsonObject): ReadOptions {
  const sampling: [string, Json][] = [];
  const runner: [string, Json][] = [];
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined) continue;
    const option = OPTIONS.get(name);
    if (option === undefined) {
      runner.push([name, value]);
      continue;
    }
    const checked = check(name, value, option.type);
    if (option.field === undefined || isCodeWord(checked, option)) runner.push([name, checked]);
    else sampling.push([option.field, checked]);
  }
  const read = { sampling: Object.fromEntries(sampling) as Sampling };
  return runner.length === 0 ? read : { ...read, runner: Object.fromEntries(runner) };
}

function isCodeWord(value: Json, option: Option): boolean {
  return typeof value === "number" && option.least !== undefined && value < option.least;
}

/** Checks a value, and cuts it to an integer where the option is one. */
function check(name: string, value: Json, type: OptionType): Json {
  switch (type) {
    case "integer":
      if (typeof value === "number") return Math.trunc(value);
      break;
    case "float32":
      if (typeof value === "number") return value;
      break;
    case "boolean":
      if (typeof value === "boolean") return value;
      break;
    case "array":
      if (Array.isArray(value)) return checkTexts(name, value);
      break;
  }
  throw invalidRequest(`option "${name}" must be of type ${type}`);
}

function checkTexts(name: string, values: Json[]): Json {
  if (values.every((value) => typeof value === "string")) return values;
  throw invalidRequest(`option "${name}" must be of an array of strings`);
}

/** Writes `options` for a backend; undefined when there are none. */
export function writeOptions(sampling: Sampling, runner: JsonObject | undefined): JsonObject | undefined {
  const entries: [string, unknown][] = isObject(runner) ? Object.entries(runner) : [];
  for (const [name, { field }] of OPTIONS) {
    const value = field === undefined ? undefined : sampling[field];
    if (value !== undefined) entries.push([name, value]);
  }
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as JsonObject);
}
