import type { Sampling } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { refusal } from "../fields.ts";

/** Types of Ollama's options; the words are Ollama's own. */
type OptionType = "integer" | "float32" | "boolean" | "array";

interface Option {
  readonly type: OptionType;
  /** Where the option lives in a neutral request; without it, it is the runner's. */
  readonly field?: keyof Sampling;
  /** Smallest value that means the same to every backend; what lies below is Ollama's own code word. */
  readonly least?: number;
}

/** Every option of Ollama that has a type; others are passed on as they are. */
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

/** What `options` says, parted into what every backend knows and what only Ollama's runner knows. */
export interface ReadOptions {
  readonly sampling: Sampling;
  readonly runner?: JsonObject;
}

/** Reads `options`: null counts as unset, whole numbers may be floats (cut). Throws `invalid_request`. */
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

/** The value, cut to a whole number where the option wants one. */
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
  throw refusal(`option "${name}" must be of type ${type}`);
}

function checkTexts(name: string, values: Json[]): Json {
  if (values.every((value) => typeof value === "string")) return values;
  throw refusal(`option "${name}" must be of an array of strings`);
}

/** `options` for a backend; undefined when there is nothing to say. */
export function writeOptions(sampling: Sampling, runner: JsonObject | undefined): JsonObject | undefined {
  const entries: [string, unknown][] = isObject(runner) ? Object.entries(runner) : [];
  for (const [name, { field }] of OPTIONS) {
    const value = field === undefined ? undefined : sampling[field];
    if (value !== undefined) entries.push([name, value]);
  }
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as JsonObject);
}
