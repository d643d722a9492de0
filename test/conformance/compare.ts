import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { callsIn, eventsOf, readTelling, type Telling, textIn, type Told } from "./telling.ts";

/** A reply as a client got it. */
export interface Reply {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Headers that clients act on. */
const HEADERS = ["access-control-allow-origin", "location"] as const;

/**
 * Differences of a reply from a recorded one, in stable words. Status, family of content type, kinds of events and
 * their order, keys, and types of values count. So do text, calls, end and usage. Ids, times, the words of errors and
 * the number of equal events in a row do not count.
 */
export function differences(ours: Reply, recorded: Reply): readonly string[] {
  const found: string[] = [];
  if (ours.status !== recorded.status) found.push(`status ${recorded.status} > ${ours.status}`);
  const [family, recordedFamily] = [familyOf(ours), familyOf(recorded)];
  if (family !== recordedFamily) found.push(`type ${recordedFamily} > ${family}`);
  for (const name of HEADERS) {
    const [value, told] = [ours.headers.get(name) ?? "", recorded.headers.get(name) ?? ""];
    if (value !== told) found.push(`header ${name}`);
  }
  const [events, toldEvents] = [kindsOf(ours), kindsOf(recorded)];
  const [order, toldOrder] = [orderOf(events), orderOf(toldEvents)];
  if (order !== toldOrder) found.push(`order ${toldOrder} > ${order}`);
  for (const [kind, list] of events) found.push(...compareKind(kind, list, toldEvents.get(kind)));
  return [...found, ...compareTold(tellingOf(ours), tellingOf(recorded))];
}

function tellingOf({ headers, body }: Reply): Telling {
  return readTelling(headers.get("content-type") ?? "", body);
}

function compareTold(ours: Telling, recorded: Telling): string[] {
  if (recorded.finish === undefined || ours.error !== undefined) return [];
  const pairs: Readonly<Record<string, readonly [unknown, unknown]>> = {
    text: [textIn(ours, "text"), textIn(recorded, "text")],
    thinking: [textIn(ours, "thinking"), textIn(recorded, "thinking")],
    calls: [JSON.stringify(callsIn(ours)), JSON.stringify(callsIn(recorded))],
    finish: [ours.finish, recorded.finish],
    prompt: [ours.promptTokens ?? 0, recorded.promptTokens ?? 0],
    completion: [ours.completionTokens ?? 0, recorded.completionTokens ?? 0],
  };
  const differing = Object.entries(pairs).filter(([, [told, expected]]) => told !== expected);
  return differing.map(([what, [told, expected]]) => `told ${what} ${String(expected)} > ${String(told)}`);
}

/** The family of a content type; "" where there is no body to have one. */
function familyOf({ headers, body }: Reply): string {
  return body === "" ? "" : (headers.get("content-type") ?? "").replace(/;.*/, "");
}

type Kinds = Map<string, Json[]> & { order?: string };

function kindsOf(reply: Reply): Kinds {
  const kinds: Kinds = new Map();
  const seen: string[] = [];
  for (const told of eventsOf(reply.headers.get("content-type") ?? "", reply.body)) {
    const kind = kindOf(told);
    if (seen.at(-1) !== kind) seen.push(kind);
    const list = kinds.get(kind);
    if (list === undefined) kinds.set(kind, [told.data]);
    else list.push(told.data);
  }
  kinds.order = seen.join(" ");
  return kinds;
}

function orderOf(kinds: Kinds): string {
  return kinds.order ?? "";
}

/** The purpose of an event. */
function kindOf({ event, data }: Told): string {
  if (!isObject(data)) return typeof data === "string" ? data : "list";
  if (event === "content_block_delta" && isObject(data["delta"]))
    return JSON.stringify(data["delta"]["type"]);
  if (event !== "") return event;
  if (data["error"] !== undefined && data["object"] === undefined) return "error";
  if (data["object"] === "chat.completion.chunk" || isCompletionChunk(data)) return chunkKind(data);
  if (typeof data["done"] === "boolean") return data["done"] ? "last" : partKind(data["message"] ?? data);
  return "object";
}

/** A whole text completion has its usage beside a finished choice, a chunk of a stream does not. */
function isCompletionChunk(data: JsonObject): boolean {
  const [choice] = Array.isArray(data["choices"]) ? data["choices"] : [];
  if (data["object"] !== "text_completion") return false;
  return !isObject(choice) || choice["finish_reason"] === null || choice["text"] === "";
}

function chunkKind({ choices }: JsonObject): string {
  const [choice] = Array.isArray(choices) ? choices : [];
  if (!isObject(choice)) return "usage";
  if (typeof choice["finish_reason"] === "string") return "finish";
  return partKind(choice["delta"] ?? choice);
}

function partKind(part: Json | undefined): string {
  if (!isObject(part)) return "text";
  if (part["tool_calls"] !== undefined) return "call";
  return part["reasoning"] === undefined && part["thinking"] === undefined ? "text" : "thinking";
}

function compareKind(kind: string, ours: readonly Json[], recorded: readonly Json[] | undefined): string[] {
  // The comparison of the order reports what only one side has.
  if (recorded === undefined) return [];
  const [shape, told] = [shapeOf(ours), shapeOf(recorded)];
  const found: string[] = [];
  for (const [path, types] of shape) {
    const expected = told.get(path);
    if (expected === undefined) found.push(`${kind} + ${path}`);
    else if (!sameTypes(types, expected)) found.push(`${kind} ${path} ${spell(expected)} > ${spell(types)}`);
  }
  for (const path of told.keys()) if (!shape.has(path)) found.push(`${kind} - ${path}`);
  return found;
}

function sameTypes(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.symmetricDifference(b).size === 0;
}

function spell(types: ReadonlySet<string>): string {
  return [...types].toSorted().join("|");
}

type Shape = Map<string, Set<string>>;

/** The paths of some values, `[]` for any element, with the types found there. */
function shapeOf(values: readonly Json[]): Shape {
  const shape: Shape = new Map();
  for (const value of values) collect(value, "", shape);
  return shape;
}

/** Members below these are of the model or the client, not of the API. */
const FREE = /(?:^|\.)(?:model_info|arguments|input|parameters|schema|input_schema|metadata)$/;

function collect(value: Json, path: string, shape: Shape): void {
  if (path !== "") shape.set(path, (shape.get(path) ?? new Set()).add(typeName(value)));
  if (FREE.test(path)) return;
  if (Array.isArray(value)) {
    for (const item of value) collect(item, `${path}[]`, shape);
  } else if (isObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined) collect(member, path === "" ? key : `${path}.${key}`, shape);
    }
  }
}

function typeName(value: Json): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "list" : typeof value;
}
