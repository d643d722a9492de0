import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { readMediaType } from "../../src/wire/media-type.ts";

function read(value: string): [string, ...string[]] | undefined {
  const found = readMediaType(value);
  return found && [found.type, ...found.parameters.map(({ name, value: is }) => `${name}=${is}`)];
}

describe("the value of a content-type or content-disposition header", () => {
  const cases: readonly [written: string, read: ReturnType<typeof read>][] = [
    ["text/plain", ["text/plain"]],
    ["Text/PLAIN ; Charset=utf-8", ["text/plain", "charset=utf-8"]],
    ['multipart/form-data; boundary="a b;c"', ["multipart/form-data", "boundary=a b;c"]],
    ["multipart/form-data;boundary=a=b", ["multipart/form-data", "boundary=a=b"]],
    ["multipart/form-data; boundary = x ; charset=y", ["multipart/form-data", "boundary=x", "charset=y"]],
    ['form-data; name="a\\"b\\\\"; filename=""', ["form-data", 'name=a"b\\', "filename="]],
    ["text/plain;", ["text/plain"]],
    ["text/plain;;;a=b;", ["text/plain", "a=b"]],
    ["", [""]],
    ["text/plain; a", undefined],
    ["text/plain; =b", undefined],
    ["text/plain; a;b=c", undefined],
    ['text/plain; a="b', undefined],
    ['text/plain; a="b\\"', undefined],
    ['text/plain; a="b"c', undefined],
  ];
  for (const [written, expected] of cases) {
    it(JSON.stringify(written), () => {
      assert.deepEqual(read(written), expected);
    });
  }

  it("tells which values were escaped", () => {
    const found = readMediaType('form-data; name="mo\\del"; filename="b"');
    assert.deepEqual(
      found?.parameters.map(({ value, escaped }) => [value, escaped]),
      [
        ["model", true],
        ["b", false],
      ],
    );
  });

  it("is read as it was written, whatever a quoted value holds", () => {
    const text = fc.string({ unit: fc.constantFrom("a", ";", "=", " ", '"', "\\", "é") });
    fc.assert(
      fc.property(fc.array(text), (values) => {
        const written = values.map((value, at) => `; p${at}="${value.replace(/["\\]/g, "\\$&")}"`);
        const found = readMediaType(`a/b${written.join("")}`);
        assert.deepEqual(
          found?.parameters.map(({ value }) => value),
          values,
        );
      }),
    );
  });

  it("never throws, whatever it is", () => {
    const text = fc.string({ unit: fc.constantFrom("a", ";", "=", " ", '"', "\\", "\t", "/") });
    fc.assert(fc.property(text, (value) => void readMediaType(value)));
  });
});
