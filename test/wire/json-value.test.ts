import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { firstJsonValue } from "../../src/wire/json-value.ts";

describe("the first JSON value", () => {
  it("is found whatever follows it", () => {
    const container = fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue()));
    fc.assert(
      fc.property(container, fc.string(), fc.constantFrom("", " ", "\n\t\r "), (value, rest, blanks) => {
        const json = JSON.stringify(value);
        const first = firstJsonValue(Buffer.from(blanks + json + rest));
        assert.equal(first?.toString(), json);
      }),
    );
  });

  it("is not there before its end has come", () => {
    const json = Buffer.from('{"a":["}",{"b":"\\"]\\\\"}],"c":{}}');
    for (let cut = 0; cut < json.length; cut += 1)
      assert.equal(firstJsonValue(json.subarray(0, cut)), undefined, `cut at ${cut}`);
  });

  it("is not looked for in what is no object or array", () => {
    for (const text of ["", "  ", "not json", '"text"', "1 {}"])
      assert.equal(firstJsonValue(Buffer.from(text)), undefined, text);
  });
});
