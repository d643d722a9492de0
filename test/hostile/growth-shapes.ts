import { BODIES } from "./bodies.ts";

/** Texts and bodies of about so many bytes, in which one thing is large. */

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** A text of about so many bytes. */
export type Fill = (bytes: number) => string;

function repeated(unit: string): Fill {
  return (bytes) => unit.repeat(Math.max(1, Math.floor(bytes / Buffer.byteLength(unit))));
}

/** The contents of long strings: each looks like the middle of something that is searched for. */
export const FILLS: Readonly<Record<string, Fill>> = {
  letters: repeated("a"),
  blanks: repeated(" "),
  "blanks and breaks": repeated(" \t\r\n"),
  digits: repeated("1"),
  "digits and units": repeated("1h"),
  semicolons: repeated(";"),
  "data URLs": repeated("data:;base64,"),
  brackets: repeated("[{"),
  quotes: repeated('\\"'),
  "line separators": repeated("\u2028"),
  "lone surrogates": repeated("\ud800"),
  slashes: repeated("a/"),
  "nested JSON": (bytes) => `{"a":${nested("[", "]", bytes)}}`,
  "JSON of many members": (bytes) => `{"a":1${many(bytes, (index) => `,"k${index.toString(36)}":1`)}}`,
};

/** Where the long string is put. */
const HERE = "@here@";

/** A body with one place in it that can be made large. */
export interface Shape {
  readonly name: string;
  readonly build: (bytes: number) => Buffer;
  readonly mostGrowth?: number;
}

/**
 * Growth of an object beyond a thousand members. The engine then stores it in another way, in which each member takes
 * ten times as long.
 */
const GROWTH_OF_MEMBERS = 9;

/** A body that the endpoint of a path accepts. */
export function soundBody(path: string): Json {
  const { raw: _raw, ...sound } = (BODIES[path] ?? { model: "tiny" }) as { [name: string]: Json };
  return sound;
}

/** The bodies of a path: each string long in several ways, each list and object full, numbers long, nesting deep. */
export function shapesOf(path: string): Shape[] {
  const base = soundBody(path);
  return [...stringsOf(base), ...listsOf(base), ...membersOf(base), ...OTHERS.map((other) => other(base))];
}

/** Each place in a value, with a function that puts something else there. */
function* places(
  value: Json,
  put: (other: Json) => Json = (other) => other,
  path = "",
): Generator<{ path: string; value: Json; put: (other: Json) => Json }> {
  yield { path, value, put };
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const inner = (other: Json): Json => put(value.map((one, at) => (at === index ? other : one)));
      yield* places(item, inner, `${path}[${index}]`);
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      yield* places(item, (other) => put({ ...value, [name]: other }), `${path}.${name}`);
    }
  }
}

function stringsOf(base: Json): Shape[] {
  return [...places(base)]
    .filter(({ value }) => typeof value === "string")
    .flatMap(({ path, put }) => {
      return Object.entries(FILLS).map(([kind, fill]): Shape => {
        const name = `${kind} at ${path}`;
        const build = (bytes: number): Buffer => Buffer.from(JSON.stringify(put(fill(bytes))));
        return kind.includes("members") ? { name, build, mostGrowth: GROWTH_OF_MEMBERS } : { name, build };
      });
    });
}

function listsOf(base: Json): Shape[] {
  return [...places(base)].flatMap(({ path, value, put }): Shape[] => {
    if (!Array.isArray(value) || value.length === 0) return [];
    const item = JSON.stringify(value[value.length - 1]);
    const rest = JSON.stringify(put(HERE));
    return [
      {
        name: `many items at ${path}`,
        build: (bytes) => fillIn(rest, `[${Array(count(bytes, item)).fill(item).join()}]`),
      },
    ];
  });
}

function membersOf(base: Json): Shape[] {
  return [...places(base)].flatMap(({ path, value, put }): Shape[] => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
    const rest = JSON.stringify(put({ ...value, more: HERE }));
    return [
      {
        name: `many members at ${path}`,
        mostGrowth: GROWTH_OF_MEMBERS,
        build: (bytes) => fillIn(rest, `1${many(bytes, (index) => `,"k${index.toString(36)}":1`)}`),
      },
      {
        name: `a long name at ${path}`,
        build: (bytes) => fillIn(rest, `1,"${"n".repeat(bytes)}":1`),
      },
    ];
  });
}

const OTHERS: readonly ((base: Json) => Shape)[] = [
  (base) => extra(base, "a long number", (bytes) => "1".repeat(bytes)),
  (base) => extra(base, "a long fraction", (bytes) => `0.${"1".repeat(bytes)}`),
  (base) => extra(base, "lists in lists", (bytes) => nested("[", "]", bytes)),
  (base) => extra(base, "objects in objects", (bytes) => nested('{"a":', "}", bytes, "1")),
  (base) => extra(base, "empty lists", (bytes) => `[${many(bytes, () => "[],")}1]`),
  (base) => extra(base, "escapes", (bytes) => `"${"\\u0061".repeat(bytes / 6)}"`),
  (base) => extra(base, "a string that does not end", (bytes) => `"${"\\\\".repeat(bytes / 2)}`),
  (base) => ({
    name: "blanks before it",
    build: (bytes) => Buffer.from(" ".repeat(bytes) + JSON.stringify(base)),
  }),
  (base) => ({
    name: "much behind it",
    build: (bytes) => Buffer.from(JSON.stringify(base) + "{".repeat(bytes)),
  }),
  () => ({ name: "no JSON", build: (bytes) => Buffer.from("{[".repeat(bytes / 2)) }),
  () => ({ name: "bytes that are no text", build: (bytes) => Buffer.alloc(bytes, 0xe2) }),
];

function extra(base: Json, name: string, text: (bytes: number) => string): Shape {
  const rest = JSON.stringify({ ...(base as object), extra: HERE });
  return { name, build: (bytes) => fillIn(rest, text(bytes)) };
}

function fillIn(text: string, what: string): Buffer {
  return Buffer.from(text.replace(`"${HERE}"`, () => what));
}

function count(bytes: number, item: string): number {
  return Math.max(1, Math.floor(bytes / (item.length + 1)));
}

/** @param unit text of each position; its length may grow */
export function many(bytes: number, unit: (index: number) => string): string {
  const units: string[] = [];
  for (let index = 0, length = 0; length < bytes; index += 1) {
    const next = unit(index);
    units.push(next);
    length += next.length;
  }
  return units.join("");
}

export function nested(open: string, close: string, bytes: number, core = ""): string {
  const depth = Math.max(1, Math.floor(bytes / (open.length + close.length)));
  return open.repeat(depth) + core + close.repeat(depth);
}
