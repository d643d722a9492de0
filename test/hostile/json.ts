import * as fc from "fast-check";
import type { Json } from "../../src/core/json.ts";

/** JSON as somebody might send it who wants harm. */

/** Deep enough to overflow the stack of a walk without a limit. */
const DEEP = "[".repeat(200_000) + "]".repeat(200_000);
/** Stands for it until the text is there: no writer of JSON could write it. */
const DEEP_MARK = "\u0001deep\u0001";

const VALUES: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  1e308,
  -1e308,
  2 ** 53,
  "",
  "\0",
  "\u2028",
  "\ud800",
  "x".repeat(100_000),
  "1".repeat(100_000),
  " ".repeat(100_000),
  `data:${";".repeat(100_000)}`,
  "__proto__",
  "constructor",
  "http://127.0.0.1:1/",
  "data:image/png;base64,!!!!",
  [],
  {},
  [[]],
  [null],
  [0],
  [""],
  [{}],
  { "": "" },
  { type: "text" },
  JSON.parse('{"__proto__":{"stream":true,"model":"x"}}') as Json,
  JSON.parse('{"constructor":{"prototype":{"polluted":1}},"toString":1,"hasOwnProperty":0}') as Json,
  Array.from({ length: 3000 }, () => ({})),
  DEEP_MARK,
];

/** Texts that JSON.stringify would not write: too large, too small, with a sign, none. */
const RAW = [
  "1e999",
  "-1e999",
  "1E-999",
  "123456789012345678901234567890",
  "-0",
  "01",
  "+1",
  "NaN",
  "nul",
  "'x'",
];
const RAW_MARK = "\u0001raw\u0001";

type Where = readonly (string | number)[];

function pathsOf(value: Json | undefined, at: Where = []): Where[] {
  if (typeof value !== "object" || value === null) return [at];
  const inner = Object.entries(value).flatMap(([name, one]) =>
    pathsOf(one, [...at, Array.isArray(value) ? Number(name) : name]),
  );
  return [at, ...inner];
}

function changed(value: Json | undefined, [first, ...rest]: Where, change: Change): Json | undefined {
  if (first === undefined) return change.value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((one, index) => (index === first ? (changed(one, rest, change) ?? null) : one));
  }
  const entries = Object.entries(value).map(([name, one]): [string, Json | undefined] => {
    if (name !== first) return [name, one];
    return [
      rest.length === 0 && change.rename !== undefined ? change.rename : name,
      changed(one, rest, change),
    ];
  });
  return Object.fromEntries(entries.filter(([, one]) => one !== undefined));
}

interface Change {
  /** Undefined takes the member away. */
  readonly value: Json | undefined;
  readonly rename?: string | undefined;
}

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...VALUES).map((value) => ({ value })) },
  { weight: 1, arbitrary: fc.constant({ value: undefined }) },
  { weight: 1, arbitrary: fc.constantFrom(...RAW).map((raw) => ({ value: RAW_MARK + raw })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("__proto__", "constructor", "").map((rename) => ({ value: "x", rename })),
  },
);

/** The text of a sound value in which one to three members are of the wrong kind, gone or renamed. */
export function twisted(sound: Json): fc.Arbitrary<string> {
  const places = pathsOf(sound).slice(1);
  const changes = fc.array(fc.tuple(fc.constantFrom(...places), change), { minLength: 1, maxLength: 3 });
  return changes.map((list) => {
    const value = list.reduce<Json | undefined>((one, [where, how]) => changed(one, where, how), sound);
    return textOf(value ?? null);
  });
}

function textOf(value: Json): string {
  return JSON.stringify(value)
    .replaceAll(JSON.stringify(DEEP_MARK), DEEP)
    .replaceAll(new RegExp(String.raw`"\\u0001raw\\u0001([^"]*)"`, "g"), "$1");
}

/** Bytes of a text with some of them changed: cut off, doubled, or no UTF-8. */
export function spoiled(text: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  const how = fc.constantFrom("as it is", "as it is", "cut", "bom", "bytes", "doubled", "blanks", "junk");
  return fc
    .tuple(text, how, fc.nat())
    .map(([whole, spoiling, place]) => spoil(Buffer.from(whole), spoiling, place));
}

function spoil(bytes: Buffer, how: string, place: number): Buffer {
  const at = bytes.length === 0 ? 0 : place % bytes.length;
  const between = (middle: Buffer): Buffer =>
    Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(at)]);
  if (how === "cut") return bytes.subarray(0, at);
  if (how === "bom") return Buffer.concat([Buffer.from("\uFEFF"), bytes]);
  if (how === "bytes") return between(Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80]));
  if (how === "doubled") return Buffer.concat([bytes, bytes]);
  if (how === "blanks") return Buffer.concat([Buffer.from(" \t\r\n".repeat(100)), bytes]);
  if (how === "junk") return between(Buffer.from('\0}]"{[,:'));
  return bytes;
}
