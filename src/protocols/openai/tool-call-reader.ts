import type { ToolDelta } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { ObjectScanner } from "../../wire/json-value.ts";
import { parseArguments } from "../tool-arguments.ts";
import { readText } from "../message-text.ts";

/** A tool call in progress. */
interface OpenCall {
  readonly number: number;
  /** The backend's own index. */
  readonly index: number | undefined;
  /** The backend's own id; "" for none. */
  id: string;
  name: string;
  readonly watch: ObjectScanner;
  /** Arguments on hold: until the name is complete, or until their end when they begin as no object. */
  pending: string;
  isEmitted: boolean;
}

/** One fragment of a tool call. */
interface Fragment {
  readonly index: number | undefined;
  readonly id: string;
  readonly name: string;
  readonly written: string;
}

/**
 * Joins the fragments of tool calls as servers send them. Calls may share an index or have none. Ids and names may
 * repeat in each fragment, and names may come late or in pieces. A call is emitted when its name is complete.
 */
export class ToolCallReader {
  readonly #tools: readonly string[];
  readonly #calls: OpenCall[] = [];
  /**
   * Calls with a partial name that are not emitted. Searching all calls for each fragment would take quadratic time.
   */
  readonly #named = new Set<OpenCall>();
  /** The last call of each index. */
  readonly #byIndex = new Map<number, OpenCall>();
  readonly #byId = new Map<string, OpenCall>();
  readonly #emittedIds = new Set<string>();

  /** @param tools names of the request's tools, which decide when a name is complete */
  constructor(tools: readonly string[]) {
    this.#tools = tools;
  }

  /** True while the arguments of a call have not ended. */
  get isOpen(): boolean {
    return this.#calls.some(({ watch }) => watch.state === "open");
  }

  read(call: JsonObject): ToolDelta[] {
    const fragment = fragmentOf(call);
    const found = this.#find(fragment);
    // The next call completes the name of this one.
    const earlier = found === undefined ? [...this.#named].flatMap((one) => this.#emit(one)) : [];
    const known = found ?? this.#open(fragment);
    if (known.id === "") this.#identify(known, fragment.id);
    if (!known.isEmitted) known.name = this.#joined(known.name, fragment.name);
    if (!known.isEmitted && known.name !== "") this.#named.add(known);
    known.pending += known.watch.push(fragment.written);
    return this.#isNamed(known) ? [...earlier, ...this.#emit(known)] : earlier;
  }

  /**
   * Returns the rest of all calls. A call without a name is dropped when the reply was truncated. In a complete reply
   * it throws `backend_lost`.
   */
  close(isCut: boolean): ToolDelta[] {
    return this.#calls.flatMap((call) => {
      if (call.name !== "") return [...this.#emit(call), ...restOf(call, isCut)];
      if (isCut || (call.id === "" && call.pending.trim() === "")) return [];
      throw new Fault("backend_lost", "the backend's tool call has no name");
    });
  }

  #open({ index }: Fragment): OpenCall {
    const watch = new ObjectScanner();
    const call = {
      number: this.#calls.length,
      index,
      id: "",
      name: "",
      watch,
      pending: "",
      isEmitted: false,
    };
    this.#calls.push(call);
    if (index !== undefined) this.#byIndex.set(index, call);
    return call;
  }

  #identify(call: OpenCall, id: string): void {
    call.id = id;
    if (id !== "") this.#byId.set(id, call);
  }

  /** The call that a fragment continues; undefined for a new call. */
  #find(fragment: Fragment): OpenCall | undefined {
    const { index, id, name } = fragment;
    const byId = this.#byId.get(id);
    if (index === undefined) {
      const call = byId ?? this.#calls.at(-1);
      if (call === undefined || name === "") return call;
      if (id === "" && !this.#isPiece(call, name)) return undefined;
      return beginsAnother(call, fragment) ? undefined : call;
    }
    // Calls that share an index are told apart by their ids.
    const call = byId?.index === index ? byId : this.#byIndex.get(index);
    return call === undefined || beginsAnother(call, fragment) ? undefined : call;
  }

  /**
   * True when a name without index and id continues the last call: as its rest, or as a repetition. Otherwise it
   * begins a new call.
   */
  #isPiece(call: OpenCall, name: string): boolean {
    if (call.watch.state === "blank" && this.#isBeginning(call.name + name)) return true;
    return call.name === "" || (name === call.name && call.watch.state === "open");
  }

  #isBeginning(text: string): boolean {
    return this.#tools.some((tool) => tool.startsWith(text));
  }

  #joined(name: string, piece: string): string {
    if (name === "" || piece === "" || this.#isBeginning(name + piece)) return name + piece;
    // The name was repeated, or each fragment has it from its beginning.
    return piece.startsWith(name) ? piece : name + piece;
  }

  /** True when the name is complete: the arguments have begun, or it is a tool's name and no prefix of another. */
  #isNamed({ name, watch, isEmitted }: OpenCall): boolean {
    if (isEmitted || (name !== "" && watch.state !== "blank")) return true;
    return this.#tools.includes(name) && this.#tools.every((tool) => tool === name || !tool.startsWith(name));
  }

  /** Emits the call as far as possible. Arguments that begin as no object wait for their end. */
  #emit(call: OpenCall): ToolDelta[] {
    const { isEmitted, number, id, name, watch } = call;
    if (name === "") return [];
    const isReady = watch.state === "open" || watch.state === "complete";
    const written = isReady ? call.pending : "";
    if (isReady) call.pending = "";
    if (isEmitted) return written === "" ? [] : [{ type: "tool-delta", index: number, arguments: written }];
    call.isEmitted = true;
    this.#named.delete(call);
    return [{ type: "tool-delta", index: number, id: this.#uniqueId(id, number), name, arguments: written }];
  }

  /** A unique id. Results for two calls with one id could not be matched. */
  #uniqueId(id: string, number: number): string {
    const own = id === "" ? `call_${number}` : id;
    const unique = this.#emittedIds.has(own) ? `${own}_${number}` : own;
    this.#emittedIds.add(unique);
    return unique;
  }
}

/** True when a fragment cannot belong to the call of its index or position. */
function beginsAnother(call: OpenCall, { id, name, written }: Fragment): boolean {
  // A new id without a name continues the call (LM Studio).
  if (name === "" || call.name === "") return false;
  if (id !== "" && call.id !== "" && id !== call.id) return true;
  if (call.watch.state !== "complete") return false;
  return name !== call.name || (id === "" && written.trim() !== "");
}

function restOf({ number, watch, pending }: OpenCall, isCut: boolean): ToolDelta[] {
  if (watch.state === "blank") return isCut ? [] : [{ type: "tool-delta", index: number, arguments: "{}" }];
  return pending === "" ? [] : [{ type: "tool-delta", index: number, arguments: unwrapped(pending) }];
}

/** Repairs arguments that begin as no object. null stands for none, and some models write the object as a string. */
function unwrapped(pending: string): string {
  try {
    const value: unknown = JSON.parse(pending);
    if (value === null || value === "") return "{}";
    if (typeof value === "string" && parseArguments(value) !== undefined) return value;
  } catch {
    // Emitted unchanged.
  }
  return pending;
}

function fragmentOf(call: JsonObject): Fragment {
  const inner = call["function"] ?? undefined;
  // Some servers omit the nesting.
  const called = isObject(inner) ? inner : call;
  if (inner !== undefined && !isObject(inner))
    throw new Fault("backend_lost", "the backend's tool call is not an object");
  return {
    index: indexOf(call["index"]),
    id: idOf(call["id"]),
    name: readText(called["name"], "name of a tool"),
    written: writtenOf(called["arguments"]),
  };
}

function indexOf(value: Json | undefined): number | undefined {
  const index = typeof value === "string" && /^\d{1,4}$/.test(value) ? Number(value) : value;
  return typeof index === "number" && Number.isInteger(index) ? index : undefined;
}

function idOf(value: Json | undefined): string {
  return typeof value === "number" ? String(value) : readText(value, "id of a tool call");
}

/** Arguments are a text. Some backends send the object itself. */
function writtenOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
