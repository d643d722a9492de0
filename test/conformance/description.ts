import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import type { Reply } from "./compare.ts";
import { eventsOf } from "./telling.ts";

/** An operation of the document, with where it is. */
interface Found {
  readonly pointer: string;
  readonly operation: JsonObject;
}

function asObject(value: Json | undefined): JsonObject {
  assert.ok(isObject(value));
  return value;
}

/** An OpenAPI document that requests and replies are held to. */
export class Description {
  readonly #document: JsonObject;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(document: JsonObject) {
    this.#document = document;
    this.#ajv.addFormat("date-time", (text: string) => !Number.isNaN(Date.parse(text)));
    this.#ajv.addFormat("binary", true);
    this.#ajv.addSchema({ ...document, $id: "gateway" });
  }

  /** Undefined for what is not described. @param path with or without a query */
  find(method: string, path: string): Found | undefined {
    const plain = path.replace(/\?.*/, "").replace(/(?<=.)\/$/, "");
    const paths = Object.entries(asObject(this.#document["paths"]));
    const isIt = ([pattern]: [string, unknown]): boolean => matches(pattern, plain);
    // One without names in braces comes before those with them, and the longest of them first.
    const named = paths.filter(isIt).toSorted(([a], [b]) => b.length - a.length);
    const [pattern, methods] = paths.find(([literal]) => literal === plain) ?? named[0] ?? [];
    const operation = asObject(methods ?? {})[method.toLowerCase()];
    if (pattern === undefined || operation === undefined) return undefined;
    const pointer = `/paths/${pattern.replaceAll("/", "~1")}/${method.toLowerCase()}`;
    return { pointer, operation: asObject(operation) };
  }

  /** Differences of a JSON body from its description; empty when there are none. */
  problemsOfBody({ pointer, operation }: Found, body: Json): readonly string[] {
    if (operation["requestBody"] === undefined) return ["no body is described"];
    const contents = asObject(asObject(operation["requestBody"])["content"]);
    if (contents["application/json"] === undefined) return ["no JSON is described"];
    return this.#check(`${pointer}/requestBody/content/application~1json/schema`, body);
  }

  /** Differences of a reply from its description. Each event of a stream is checked by itself. */
  problemsOfReply({ pointer, operation }: Found, { status, headers, body }: Reply): readonly string[] {
    const own = asObject(operation["responses"])[String(status)];
    if (own === undefined) return [`status ${status} is not described`];
    const { $ref } = asObject(own);
    const at = typeof $ref === "string" ? $ref.slice(1) : `${pointer}/responses/${status}`;
    const contents = asObject(this.#resolve(at)["content"] ?? {});
    const type = headers.get("content-type") ?? "";
    if (body === "") return [];
    const family = type.replace(/;.*/, "");
    if (!Object.hasOwn(contents, family)) return [`${status}: ${family || "no type"} is not described`];
    const told = eventsOf(type, body).filter(({ data }) => data !== "[DONE]");
    return told.flatMap(({ data }) =>
      this.#check(`${at}/content/${family.replaceAll("/", "~1")}/schema`, data),
    );
  }

  #resolve(pointer: string): JsonObject {
    const names = pointer.split("/").slice(1);
    const unescaped = names.map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
    return unescaped.reduce((at, name) => asObject(at[name]), this.#document);
  }

  #check(pointer: string, value: Json): readonly string[] {
    const fragment = pointer.split("/").map(encodeURIComponent).join("/");
    const check = this.#ajv.getSchema(`gateway#${fragment}`);
    assert.ok(check !== undefined, pointer);
    if (check(value) === true) return [];
    return (check.errors ?? []).map(({ instancePath, message = "" }) => `${instancePath} ${message}`);
  }
}

/** A name at the end stands for any rest, slashes too; another one for one piece between slashes. */
function matches(pattern: string, path: string): boolean {
  const [before = "", after] = pattern.split(/\{\w+\}/);
  if (after === undefined || !path.startsWith(before) || !path.endsWith(after)) return false;
  const piece = path.slice(before.length, path.length - after.length);
  return piece !== "" && (after === "" || !piece.includes("/"));
}
