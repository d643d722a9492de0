import type { Json } from "../../core/json.ts";
import { invalidRequest } from "../fields.ts";

/** Go's time.ParseDuration. Digits match in one way only, else a long number would take quadratic time. */
const DURATION = /^[+-]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const UNITLESS = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)$/;
/** Longest duration. A longer one would overflow the stack of the pattern. */
const MOST_CHARACTERS = 256;

/** Checks a `keep_alive` (seconds or a Go duration). Throws `invalid_request` in Ollama's words. */
export function readKeepAlive(value: Json | undefined): number | string | undefined {
  if (value === undefined || typeof value === "number") return value;
  if (typeof value !== "string") throw invalidRequest(`Unsupported type: '${goType(value)}'`);
  if (value.length > MOST_CHARACTERS) {
    throw invalidRequest(`time: invalid duration ${JSON.stringify(value.slice(0, MOST_CHARACTERS))}`);
  }
  if (DURATION.test(value)) return value;
  const text = JSON.stringify(value);
  throw invalidRequest(
    UNITLESS.test(value) ? `time: missing unit in duration ${text}` : `time: invalid duration ${text}`,
  );
}

function goType(value: Json): string {
  if (typeof value === "boolean") return "bool";
  return Array.isArray(value) ? "[]interface {}" : "map[string]interface {}";
}

/** True when the model is to be unloaded at once: 0, "0", "0s", "0h0m" … */
export function isImmediateUnload(keepAlive: number | string | undefined): boolean {
  return typeof keepAlive === "string" ? !/[1-9]/.test(keepAlive) : keepAlive === 0;
}
