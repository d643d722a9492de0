import { describe, it } from "node:test";
import { readFormHead } from "../../src/protocols/openai/multipart-request.ts";
import { readMediaType } from "../../src/wire/media-type.ts";
import { type Field, formBody } from "../rig/multipart.ts";
import { assertLinear } from "./growth.ts";
import { orFault } from "./or-fault.ts";

/** The cost of reading a form grows no faster than its bytes, whatever is in it. */

const BYTES = 4 * 1024 * 1024;
const LONG = "b".repeat(70);

function repeated(unit: string, bytes: number): string {
  return unit.repeat(Math.max(1, Math.floor(bytes / unit.length)));
}

/** Contents that look like the beginnings of what is searched for. */
const FILLS: readonly string[] = [
  "\0",
  "\r\n",
  "\r",
  "-",
  "b",
  "\r\n--",
  "\r\n--bx",
  "\r\n--b \t",
  "\r\n--b-",
  "\r\n\r\n",
  ":",
  ";",
  '"',
];

const MODEL: Field = { name: "model", value: "m" };

interface Shape {
  readonly name: string;
  readonly boundary: string;
  readonly build: (bytes: number) => Buffer;
}

function contents(boundary: string): Shape[] {
  const near = `\r\n--${boundary.slice(0, -1)}x`;
  return [...FILLS, near, `\r\n--${boundary}${" ".repeat(50)}x`].map((unit) => ({
    name: `a file of ${JSON.stringify(unit.slice(0, 12))}`,
    boundary,
    build: (bytes) =>
      formBody(boundary, [{ name: "file", filename: "x", value: repeated(unit, bytes) }, MODEL]),
  }));
}

/** Texts in the position of a part's head. */
function heads(): Shape[] {
  const units = [
    "\r\n",
    "x: y\r\n",
    "x",
    " y\r\n",
    "x: y\r\n z",
    'content-disposition: form-data; name="a"; ',
    "; a=b",
    ";",
    '"',
    "\\",
  ];
  const begins = ["", 'Content-Disposition: form-data; name="a"', 'Content-Disposition: form-data; name="'];
  return begins.flatMap((begin) =>
    units.map((unit) => ({
      name: `a head of ${JSON.stringify(unit)} after ${JSON.stringify(begin)}`,
      boundary: "b",
      build: (bytes: number) =>
        formBody("b", [MODEL, { name: "", head: begin + repeated(unit, bytes), value: "" }]),
    })),
  );
}

const OTHERS: readonly Shape[] = [
  {
    name: "many parts",
    boundary: "b",
    build: (bytes) =>
      formBody(
        "b",
        Array.from({ length: bytes / 50 }, () => MODEL),
      ),
  },
  {
    name: "a long model",
    boundary: "b",
    build: (bytes) => formBody("b", [{ name: "model", value: repeated("m", bytes) }]),
  },
  {
    name: "a long stream",
    boundary: "b",
    build: (bytes) => formBody("b", [{ name: "stream", value: repeated("t", bytes) }]),
  },
  {
    name: "a long preamble",
    boundary: "b",
    build: (bytes) => formBody("b", [MODEL], { preamble: repeated("\r\n--bx", bytes) }),
  },
  {
    name: "a long epilogue",
    boundary: "b",
    build: (bytes) => formBody("b", [MODEL], { epilogue: repeated("\r\n--b", bytes) }),
  },
  {
    name: "long blanks",
    boundary: "b",
    build: (bytes) => formBody("b", [MODEL], { padding: repeated(" ", bytes) }),
  },
  { name: "no form", boundary: "b", build: (bytes) => Buffer.alloc(bytes, "\r\n--bx") },
];

describe("the work for a form grows no faster than its body", () => {
  for (const { name, boundary, build } of [...contents("b"), ...contents(LONG), ...heads(), ...OTHERS]) {
    it(`${name}, boundary of ${boundary.length}`, (t) => {
      const micros = assertLinear({
        name,
        bytes: BYTES,
        prepare: (bytes) => {
          const body = build(bytes);
          return () => orFault(() => readFormHead(body, `multipart/form-data; boundary=${boundary}`));
        },
      });
      t.diagnostic(`${micros.toFixed(2)} µs per KiB`);
    });
  }

  for (const unit of [";", "; a=b", '; a="', "\\", '"', "=", " ", "; a"]) {
    it(`a content type of ${JSON.stringify(unit)}`, () => {
      const prepare = (bytes: number) => {
        const text = `multipart/form-data${repeated(unit, bytes)}`;
        return () => void readMediaType(text);
      };
      assertLinear({ name: unit, bytes: 64 * 1024, prepare });
    });
  }
});
