import type { EndReason, ToolDelta } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import { argumentsObject, isTruncatedCall } from "../tool-arguments.ts";

/** A tool call as Ollama's clients see it: whole, with its arguments as an object. */
export interface ToolCallObject {
  readonly id: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: JsonObject };
}

interface Gathered {
  id: string;
  name: string;
  arguments: string;
}

/** Gathers the fragments of tool calls, for any order of indexes. */
export class ToolCalls {
  readonly #byIndex = new Map<number, Gathered>();
  readonly #replyId: string;

  /** @param replyId prefix of ids for calls without one */
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

  /** The calls in the order of their indexes. Truncated calls are left out: arguments are an object or nothing. */
  whole(reason: EndReason): ToolCallObject[] {
    const calls = [...this.#byIndex].toSorted(([a], [b]) => a - b).map(([, call]) => call);
    const whole = calls.filter((call) => !isTruncatedCall(call.arguments, reason));
    return whole.map((call, index) => ({
      id: call.id || `call_${this.#replyId}_${index}`,
      function: { index, name: call.name, arguments: argumentsObject(call.arguments) },
    }));
  }
}
