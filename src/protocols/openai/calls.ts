import type { Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { ObjectWatch } from "../../wire/json-value.ts";
import { argumentsOf } from "../arguments.ts";
import { textValue } from "../said.ts";

type ToolDelta = Extract<Part, { type: "tool-delta" }>;

/** A tool call as far as it has come. */
interface OpenCall {
  readonly number: number;
  /** As the backend counts it. */
  readonly index: number | undefined;
  /** As the backend has it; "" when it has none. */
  id: string;
  name: string;
  readonly watch: ObjectWatch;
  /** Arguments that wait: for the whole name, or, when they do not begin as an object, for their end. */
  held: string;
  isTold: boolean;
}

/** The content of one fragment. */
interface Fragment {
  readonly index: number | undefined;
  readonly id: string;
  readonly name: string;
  readonly written: string;
}

/**
 * Reads the fragments of tool calls as servers send them: several calls with one index or with none, ids and names
 * repeated with each fragment, names that come late or in pieces. A call is told when its name is whole.
 */
export class CallsReader {
  readonly #tools: readonly string[];
  readonly #calls: OpenCall[] = [];
  /** Calls that have a name, or its beginning, and are not told: to look through all for each takes a square. */
  readonly #named = new Set<OpenCall>();
  /** The last call at each index. */
  readonly #byIndex = new Map<number, OpenCall>();
  readonly #byId = new Map<string, OpenCall>();
  readonly #toldIds = new Set<string>();

  /** @param tools the names of the request's tools: they tell whether a name is whole */
  constructor(tools: readonly string[]) {
    this.#tools = tools;
  }

  /** True when a call began and its arguments have not ended. */
  get isOpen(): boolean {
    return this.#calls.some(({ watch }) => watch.state === "open");
  }

  read(call: JsonObject): ToolDelta[] {
    const fragment = fragmentOf(call);
    const found = this.#find(fragment);
    // The name of a call is whole when another one begins.
    const earlier = found === undefined ? [...this.#named].flatMap((one) => this.#tell(one)) : [];
    const known = found ?? this.#open(fragment);
    if (known.id === "") this.#identify(known, fragment.id);
    if (!known.isTold) known.name = this.#joined(known.name, fragment.name);
    if (!known.isTold && known.name !== "") this.#named.add(known);
    known.held += known.watch.push(fragment.written);
    return this.#isNamed(known) ? [...earlier, ...this.#tell(known)] : earlier;
  }

  /**
   * The rest of all calls. A call that never got a name is left out when the reply was cut. Throws `backend_lost` for
   * one in a reply that ended by itself.
   */
  close(isCut: boolean): ToolDelta[] {
    return this.#calls.flatMap((call) => {
      if (call.name !== "") return [...this.#tell(call), ...restOf(call, isCut)];
      if (isCut || (call.id === "" && call.held.trim() === "")) return [];
      throw new Fault("backend_lost", "the backend's tool call has no name");
    });
  }

  #open({ index }: Fragment): OpenCall {
    const watch = new ObjectWatch();
    const call = { number: this.#calls.length, index, id: "", name: "", watch, held: "", isTold: false };
    this.#calls.push(call);
    if (index !== undefined) this.#byIndex.set(index, call);
    return call;
  }

  #identify(call: OpenCall, id: string): void {
    call.id = id;
    if (id !== "") this.#byId.set(id, call);
  }

  /** The call that a fragment goes on with; undefined for a new one. */
  #find(fragment: Fragment): OpenCall | undefined {
    const { index, id, name } = fragment;
    const byId = this.#byId.get(id);
    if (index === undefined) {
      const call = byId ?? this.#calls.at(-1);
      if (call === undefined || name === "") return call;
      if (id === "" && !this.#isPiece(call, name)) return undefined;
      return beginsAnother(call, fragment) ? undefined : call;
    }
    // Calls that share an index take turns by their ids.
    const call = byId?.index === index ? byId : this.#byIndex.get(index);
    return call === undefined || beginsAnother(call, fragment) ? undefined : call;
  }

  /** Without index and id a name begins a call, unless it is the rest of the last one's, or that one's again. */
  #isPiece(call: OpenCall, name: string): boolean {
    if (call.watch.state === "blank" && this.#isBeginning(call.name + name)) return true;
    return call.name === "" || (name === call.name && call.watch.state === "open");
  }

  #isBeginning(text: string): boolean {
    return this.#tools.some((tool) => tool.startsWith(text));
  }

  #joined(name: string, piece: string): string {
    if (name === "" || piece === "" || this.#isBeginning(name + piece)) return name + piece;
    // Told again, or told from its beginning each time.
    return piece.startsWith(name) ? piece : name + piece;
  }

  /** A name is whole when the arguments begin, or when it is that of a tool and no beginning of another one's. */
  #isNamed({ name, watch, isTold }: OpenCall): boolean {
    if (isTold || (name !== "" && watch.state !== "blank")) return true;
    return this.#tools.includes(name) && this.#tools.every((tool) => tool === name || !tool.startsWith(name));
  }

  /** Returns the held part of a call that can be told. Arguments that do not begin as an object wait for their end. */
  #tell(call: OpenCall): ToolDelta[] {
    const { isTold, number, id, name, watch } = call;
    if (name === "") return [];
    const isReady = watch.state === "open" || watch.state === "complete";
    const written = isReady ? call.held : "";
    if (isReady) call.held = "";
    if (isTold) return written === "" ? [] : [{ type: "tool-delta", index: number, arguments: written }];
    call.isTold = true;
    this.#named.delete(call);
    return [{ type: "tool-delta", index: number, id: this.#toldId(id, number), name, arguments: written }];
  }

  /** Two calls with one id could not be told apart by who answers them. */
  #toldId(id: string, number: number): string {
    const own = id === "" ? `call_${number}` : id;
    const told = this.#toldIds.has(own) ? `${own}_${number}` : own;
    this.#toldIds.add(told);
    return told;
  }
}

/** True when a fragment cannot belong to this call, which its index or its place says it does. */
function beginsAnother(call: OpenCall, { id, name, written }: Fragment): boolean {
  // A new id without a name goes on with the call (LM Studio).
  if (name === "" || call.name === "") return false;
  if (id !== "" && call.id !== "" && id !== call.id) return true;
  if (call.watch.state !== "complete") return false;
  return name !== call.name || (id === "" && written.trim() !== "");
}

function restOf({ number, watch, held }: OpenCall, isCut: boolean): ToolDelta[] {
  if (watch.state === "blank") return isCut ? [] : [{ type: "tool-delta", index: number, arguments: "{}" }];
  return held === "" ? [] : [{ type: "tool-delta", index: number, arguments: unwrapped(held) }];
}

/** Arguments that do not begin as an object: null stands for none, and some models write the object as a string. */
function unwrapped(held: string): string {
  try {
    const value: unknown = JSON.parse(held);
    if (value === null || value === "") return "{}";
    if (typeof value === "string" && argumentsOf(value) !== undefined) return value;
  } catch {
    // Told as it is.
  }
  return held;
}

function fragmentOf(call: JsonObject): Fragment {
  const inner = call["function"] ?? undefined;
  // Some servers leave the wrapping out.
  const called = isObject(inner) ? inner : call;
  if (inner !== undefined && !isObject(inner))
    throw new Fault("backend_lost", "the backend's tool call is no object");
  return {
    index: indexOf(call["index"]),
    id: idOf(call["id"]),
    name: textValue(called["name"], "name of a tool"),
    written: writtenOf(called["arguments"]),
  };
}

function indexOf(value: Json | undefined): number | undefined {
  const index = typeof value === "string" && /^\d{1,4}$/.test(value) ? Number(value) : value;
  return typeof index === "number" && Number.isInteger(index) ? index : undefined;
}

function idOf(value: Json | undefined): string {
  return typeof value === "number" ? String(value) : textValue(value, "id of a tool call");
}

/** Arguments are a text; some backends send the object itself. */
function writtenOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
