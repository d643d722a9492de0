import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { multipartBoundary, multipartType, parseMultipart } from "../../src/wire/multipart.ts";
import { readMediaType } from "../../src/wire/media-type.ts";
import { type Field, formBody } from "../rig/multipart.ts";

const LIMITS = { parts: 5, headBytes: 200, lookalikes: 20 };
const NAME = 'Content-Disposition: form-data; name="a"';

/** Names and contents of the parts, or the flaw. */
function read(body: Buffer | string, boundary = "b"): readonly string[] | string {
  const bytes = Buffer.from(body);
  const found = parseMultipart(bytes, boundary, LIMITS);
  if ("flaw" in found) return `${found.flaw} ${found.part}`;
  return found.parts.map(({ name, from, to }) => `${name}=${bytes.toString("latin1", from, to)}`);
}

const field = (value: string, head?: string): Field =>
  head === undefined ? { name: "a", value } : { name: "a", value, head };

describe("a form's boundary", () => {
  const cases: readonly [contentType: string, boundary: string | undefined][] = [
    ["multipart/form-data; boundary=abc", "abc"],
    ['multipart/form-data; boundary="abc"', "abc"],
    ['multipart/form-data; BOUNDARY="==(a) /:?b=="; charset=x', "==(a) /:?b=="],
    ["multipart/form-data; boundary==_x/y", "=_x/y"],
    [`multipart/form-data; boundary=${"x".repeat(70)}`, "x".repeat(70)],
    [`multipart/form-data; boundary=${"x".repeat(71)}`, undefined],
    ["multipart/form-data", undefined],
    ["multipart/form-data; boundary=", undefined],
    ['multipart/form-data; boundary="a "', undefined],
    ['multipart/form-data; boundary=" a"', undefined],
    ["multipart/form-data; boundary=é", undefined],
    ['multipart/form-data; boundary="a\\"b"', undefined],
    ["multipart/form-data; boundary=a; boundary=a", undefined],
    ["multipart/form-data; boundary=a; boundary*=utf-8''b", undefined],
  ];
  for (const [contentType, boundary] of cases) {
    it(contentType, () => {
      const mediaType = readMediaType(contentType);
      assert.ok(mediaType);
      assert.equal(multipartBoundary(mediaType), boundary);
    });
  }

  it("is told to the backend so that it is read as the same", () => {
    assert.equal(
      multipartType("----WebKitFormBoundaryAbC"),
      "multipart/form-data; boundary=----WebKitFormBoundaryAbC",
    );
    assert.equal(multipartType("a b"), 'multipart/form-data; boundary="a b"');
  });
});

describe("the parts of a form", () => {
  it("are found with all that may stand around them", () => {
    const around = { preamble: "for readers\r\nof mail\r\n", epilogue: "\r\n--b\r\nno part", padding: " \t" };
    assert.deepEqual(read(formBody("b", [field("1"), field("2")], around)), ["a=1", "a=2"]);
  });

  const sound: readonly [what: string, body: Buffer | string, parts: readonly string[]][] = [
    ["none", formBody("b", []), []],
    ["an empty one", formBody("b", [field("")]), ["a="]],
    ["no line break at the end", `--b\r\n${NAME}\r\n\r\n1\r\n--b--`, ["a=1"]],
    ["line breaks at both ends of a content", formBody("b", [field("\r\n1\r\n")]), ["a=\r\n1\r\n"]],
    [
      "lines that begin as the boundary",
      formBody("b", [field("\r\n--bc\r\n--b-\r\n--b x\r\n--b \n")]),
      ["a=\r\n--bc\r\n--b-\r\n--b x\r\n--b \n"],
    ],
    ["the boundary within a line", formBody("b", [field("x--b\r\ny--b--")]), ["a=x--b\r\ny--b--"]],
    [
      "the boundary behind a bare line feed",
      formBody("b", [field("x\n--b\ny\r--b--")]),
      ["a=x\n--b\ny\r--b--"],
    ],
    [
      "headers in other case, and others",
      formBody("b", [field("1", 'CONTENT-DISPOSITION:FORM-DATA;NAME="a"\r\nX-Odd: 1\r\ncontent-type: x')]),
      ["a=1"],
    ],
    [
      "a header over two lines",
      formBody("b", [field("1", 'Content-Disposition: form-data;\r\n name="a";\r\n\tfilename="x"')]),
      ["a=1"],
    ],
    ["a name without quotes", formBody("b", [field("1", "Content-Disposition: form-data; name=a")]), ["a=1"]],
  ];
  for (const [what, body, parts] of sound) {
    it(`may be: ${what}`, () => {
      assert.deepEqual(read(body), parts);
    });
  }

  const flawed: readonly [what: string, body: Buffer | string, flaw: string][] = [
    ["nothing", "", "no-start 0"],
    ["JSON", '{"model":"a"}', "no-start 0"],
    ["another boundary", formBody("c", [field("1")]), "no-start 0"],
    [
      "lines that end in LF",
      formBody("b", [field("1")])
        .toString()
        .replaceAll("\r", ""),
      "no-start 0",
    ],
    ["no end", `--b\r\n${NAME}\r\n\r\n1`, "no-end 1"],
    ["an end cut behind the boundary", `--b\r\n${NAME}\r\n\r\n1\r\n--b`, "no-end 1"],
    ["an end cut between the dashes", `--b\r\n${NAME}\r\n\r\n1\r\n--b-`, "no-end 1"],
    ["a boundary and nothing else", "--b\r\n", "no-end 1"],
    ["a head that does not end", `--b\r\n${NAME}\r\n`, "no-end 1"],
    ["a head without an empty line", `--b\r\n${NAME}\r\n1\r\n--b\r\n\r\n2\r\n--b--`, "bad-head 1"],
    ["no line between head and boundary", `--b\r\n${NAME}\r\n\r\n--b--`, "bad-head 1"],
    ["no head", "--b\r\n\r\n1\r\n--b--", "no-name 1"],
    ["no disposition", formBody("b", [field("1"), field("1", "Content-Type: a/b")]), "no-name 2"],
    [
      "another disposition",
      formBody("b", [field("1", 'Content-Disposition: attachment; name="a"')]),
      "no-name 1",
    ],
    ["no name", formBody("b", [field("1", 'Content-Disposition: form-data; filename="a"')]), "no-name 1"],
    ["two names", formBody("b", [field("1", `${NAME}; name="c"`)]), "no-name 1"],
    ["a name in another encoding", formBody("b", [field("1", `${NAME}; name*=utf-8''c`)]), "no-name 1"],
    [
      "a quote that does not close",
      formBody("b", [field("1", 'Content-Disposition: form-data; name="a')]),
      "no-name 1",
    ],
    ["two dispositions", formBody("b", [field("1", `${NAME}\r\n${NAME}`)]), "bad-head 1"],
    ["a header without a name", formBody("b", [field("1", `${NAME}\r\n: x`)]), "bad-head 1"],
    ["a header with a blank in its name", formBody("b", [field("1", `${NAME}\r\nx y: z`)]), "bad-head 1"],
    ["a line feed in a header", formBody("b", [field("1", `${NAME}\nx: y`)]), "bad-head 1"],
    ["a head that begins with a blank", formBody("b", [field("1", ` ${NAME}`)]), "bad-head 1"],
    ["a long head", formBody("b", [field("1", `${NAME}\r\nx: ${"y".repeat(200)}`)]), "long-head 1"],
    ["many lines that begin as it", formBody("b", [field("\r\n--bc".repeat(21))]), "many-lookalikes 1"],
    ["the boundary before any line that is it", `x--b\r\n--b\r\n${NAME}\r\n\r\n1\r\n--b--`, "no-start 0"],
    ["the boundary behind a line feed", `\n--b--\r\n--b\r\n${NAME}\r\n\r\n1\r\n--b--`, "no-start 0"],
    ["a line before that begins as it", `--bc\r\n--b\r\n${NAME}\r\n\r\n1\r\n--b--`, "no-start 0"],
    [
      "many parts",
      formBody(
        "b",
        Array.from({ length: 6 }, () => field("1")),
      ),
      "many-parts 6",
    ],
  ];
  for (const [what, body, flaw] of flawed) {
    it(`are refused: ${what}`, () => {
      assert.equal(read(body), flaw);
    });
  }

  it("tell files, escapes and encodings", () => {
    const heads = [
      'Content-Disposition: form-data; name="f"; filename="x"',
      "Content-Disposition: form-data; name=f; filename*=utf-8''x",
      'Content-Disposition: form-data; name="\\f"\r\nContent-Transfer-Encoding: Base64',
    ];
    const body = formBody(
      "b",
      heads.map((head) => ({ name: "", value: "1", head })),
    );
    const found = parseMultipart(body, "b", LIMITS);
    assert.ok("parts" in found);
    assert.deepEqual(
      found.parts.map(({ name, isFile, escaped, encoding }) => [name, isFile, escaped, encoding]),
      [
        ["f", true, false, ""],
        ["f", true, false, ""],
        ["f", false, true, "base64"],
      ],
    );
  });

  it("are found whatever they hold", () => {
    const boundary = fc.string({
      minLength: 1,
      maxLength: 70,
      unit: fc.constantFrom("-", "a", "B", "7", "_", "'"),
    });
    const form = boundary.chain((mark) => {
      const near = fc.constantFrom(
        "\r\n",
        "\r",
        "\n",
        "--",
        "-",
        mark,
        `\r\n--${mark.slice(0, -1)}`,
        ` ${mark}`,
      );
      const text = fc
        .array(fc.oneof(near, fc.string()), { maxLength: 20 })
        .map((pieces) => Buffer.from(pieces.join("")));
      const content = fc.oneof(
        text,
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      );
      // A sound form has a boundary that no content has (RFC 2046).
      const allowed = content.filter(
        (bytes) =>
          !Buffer.from(`\r\n${bytes.toString("latin1")}`, "latin1").includes(`\r\n--${mark}`) &&
          !`\r\n${bytes.toString("latin1")}\r\n`.endsWith(`\r\n--${mark}\r\n`),
      );
      return fc.record({ mark: fc.constant(mark), contents: fc.array(allowed, { maxLength: 5 }) });
    });
    fc.assert(
      fc.property(form, ({ mark, contents }) => {
        const body = formBody(
          mark,
          contents.map((value) => ({ name: "a", value })),
        );
        assert.deepEqual(
          read(body, mark),
          contents.map((bytes) => `a=${bytes.toString("latin1")}`),
        );
      }),
    );
  });

  it("never throw, whatever the body is", () => {
    const piece = fc.constantFrom("\r\n", "--b", "--", NAME, "\r\n\r\n", "x", " ", "\n", ":", ";", '"');
    fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => void read(pieces.join(""))));
  });
});
