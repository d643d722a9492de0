import assert from "node:assert/strict";
import { isObject } from "../../src/core/json.ts";
import type { JsonObject } from "../../src/core/json.ts";

/** An event of a stream, read without the code under test. */
export interface Told {
  readonly event: string;
  readonly data: JsonObject;
}

/** The events of a stream, each with one `event` and one `data` line. */
export function eventsIn(text: string): Told[] {
  return text
    .split("\n\n")
    .map((block) => block.trim())
    .filter((block) => block !== "")
    .map((block) => {
      const [, event = "", data = ""] = /^event: ([^\n]*)\ndata: ([^\n]*)$/.exec(block) ?? [];
      return { event, data: JSON.parse(data) as JsonObject };
    });
}

/**
 * Every recorded key is there with a value of the same type. Keys that the recording does not have must be named
 * in `more`: clients may only find what they know.
 */
export function assertShape(ours: unknown, recorded: unknown, more: readonly string[], path = "$"): void {
  assert.equal(kindOf(ours), kindOf(recorded), path);
  if (Array.isArray(ours) && Array.isArray(recorded)) {
    assert.equal(ours.length, recorded.length, path);
    for (const [index, item] of ours.entries()) assertShape(item, recorded[index], more, `${path}[${index}]`);
  } else if (isObject(ours) && isObject(recorded)) {
    const expected = new Set([...Object.keys(recorded), ...more]);
    const unknown = Object.keys(ours).filter((key) => !expected.has(key));
    assert.deepEqual(unknown, [], `${path}: keys that the recording does not have`);
    for (const [key, value] of Object.entries(recorded))
      assertShape(ours[key], value, more, `${path}.${key}`);
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
