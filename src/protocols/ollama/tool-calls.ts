import type { Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";

export type ToolDelta = Extract<Part, { type: "tool-delta" }>;

/** A tool call as Ollama's clients see it: always whole, with its arguments as an object. */
export interface ToolCallObject {
  readonly id: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: JsonObject };
}

interface Gathered {
  id: string;
  name: string;
  arguments: string;
}

/** Gathers the fragments of tool calls, whatever the order of their indexes. */
export class ToolCalls {
  readonly #byIndex = new Map<number, Gathered>();
  readonly #replyId: string;

  /** @param replyId names calls that their backend did not name */
  constructor(replyId: string) {
    this.#replyId = replyId;
  }

  add(delta: ToolDelta): void {
    const call = this.#byIndex.get(delta.index) ?? { id: "", name: "", arguments: "" };
    call.id ||= delta.id ?? "";
    call.name ||= delta.name ?? "";
    call.arguments += delta.arguments;
    this.#byIndex.set(delta.index, call);
  }

  /** The calls in the order of their indexes. Throws `backend_lost` when arguments are not a JSON object. */
  whole(): ToolCallObject[] {
    const calls = [...this.#byIndex].toSorted(([a], [b]) => a - b);
    return calls.map(([, call], index) => ({
      id: call.id || `call_${this.#replyId}_${index}`,
      function: { index, name: call.name, arguments: parseArguments(call.arguments) },
    }));
  }
}

function parseArguments(text: string): JsonObject {
  const value = text.trim() === "" ? {} : parse(text);
  if (isObject(value)) return value;
  throw new Fault("backend_lost", "the model called a tool with arguments that are not a JSON object");
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
