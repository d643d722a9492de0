import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { topMember } from "../../src/wire/json-value.ts";

const blanks = fc.string({ unit: fc.constantFrom(" ", "\t", "\n", "\r"), maxLength: 3 });

/** JSON texts as no serializer writes them: blanks anywhere, escapes in names and strings. */
const value: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("null", "true", "1e0", "-0.50", "90071992547409931", '"model"', '"\\"model\\":1,{[\\\\"'),
    fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
    fc.array(fc.tuple(blanks, tie("value"), blanks), { maxLength: 3 }).map((items) => {
      return `[${items.map((parts) => parts.join("")).join(",")}]`;
    }),
    fc
      .array(fc.tuple(blanks, fc.constantFrom("model", "a", 'm"'), tie("value")), { maxLength: 3 })
      .map((members) => {
        return `{${members.map(([blank, name, text]) => `${blank}${JSON.stringify(name)}${blank}:${text}`).join(",")}}`;
      }),
  ),
})).value;

const name = fc.oneof(
  fc.constantFrom("a", "models", "mode", "Model", "documents"),
  fc.string({ unit: "binary" }),
);

describe("a member of the outermost object, by its bytes", () => {
  it("is found wherever it stands, and nothing else is taken for it", () => {
    const members = fc.array(fc.tuple(blanks, name, blanks, blanks, value, blanks), { maxLength: 5 });
    const place = fc.nat(5);
    fc.assert(
      fc.property(
        members,
        place,
        value,
        fc.tuple(blanks, fc.boolean()),
        (all, at, text, [blank, isSpelt]) => {
          const others = all
            .filter(([, own]) => own !== "model")
            .map(([a, own, b, c, other, d]) => `${a}${JSON.stringify(own)}${b}:${c}${other}${d}`);
          const key = isSpelt ? '"\\u006dodel"' : '"model"';
          const before = others.slice(0, at);
          const head = `${blank}{${before.join(",")}${before.length > 0 ? "," : ""}${blank}${key}${blank}:${blank}`;
          const rest = others.slice(at);
          const tail = `${blank}${rest.length > 0 ? "," : ""}${rest.join(",")}}${blank}`;
          const body = Buffer.from(head + text + tail);
          const span = topMember(body, "model");
          assert.deepEqual(span, {
            from: Buffer.byteLength(head),
            to: Buffer.byteLength(head) + Buffer.byteLength(text),
          });
          const without = Buffer.from(`${blank}{${others.join(",")}}`);
          assert.equal(topMember(without, "model"), undefined);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("never fails on what is no JSON", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('{}[]":,\\ m1')) }), (text) => {
        topMember(Buffer.from(text), "m");
      }),
    );
  });
});
