import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { foldName, type MemberRules, scanMembers } from "../../src/wire/member-scan.ts";

const RULES: MemberRules = { known: new Set(["model", "stream", "skip"]), free: new Set(["schema"]) };

function oddIn(text: string): string | undefined {
  const { fault } = scanMembers(Buffer.from(text), RULES);
  return fault === undefined ? undefined : `${fault.kind} ${fault.name}`;
}

/** Counts the members and values of a value one by one. */
function countOf(value: unknown): { readonly members: number; readonly depth: number } {
  if (typeof value !== "object" || value === null) return { members: 0, depth: 0 };
  const inner = Object.values(value).map(countOf);
  const own = Array.isArray(value) ? 0 : inner.length;
  return {
    members: inner.reduce((sum, { members }) => sum + members, own),
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
  };
}

/** Unlike a reading by JSON.parse, this writes a name as often as it is given. */
function written(members: readonly (readonly [string, unknown])[]): string {
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
}

describe("the names of a JSON text", () => {
  it("are the client's own in lists of its own objects, and in no others", () => {
    const rules = { ...RULES, free: new Set(["schema", "docs"]), freeLists: new Set(["docs"]) };
    const fault = (text: string): unknown => scanMembers(Buffer.from(text), rules).fault?.name;
    assert.equal(fault('{"docs":["a",{"Model":1,"model":2},[{"Stream":1}]],"model":"m"}'), undefined);
    assert.equal(fault('{"docs":[],"list":[{"Model":1}]}'), "Model");
    assert.equal(fault('{"docs":[{}],"Model":1}'), "Model");
    assert.equal(fault('{"schema":[{"Model":1}]}'), "Model");
    assert.equal(fault('{"docs":[{"a":1,"a":2}]}'), "a");
  });

  it("are counted whatever the value", () => {
    const container = fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue()));
    fc.assert(
      fc.property(container, fc.string(), (value, rest) => {
        const rules = { known: new Set<string>(), free: new Set<string>() };
        // All is the client's own below this name: JSON itself has each name once.
        const text = JSON.stringify({ own: value });
        const scan = scanMembers(Buffer.from(text + rest), { ...rules, free: new Set(["own"]) });
        if (!Array.isArray(value)) assert.equal(scan.fault, undefined);
        if (scan.fault !== undefined) return;
        const { members, depth } = countOf({ own: value });
        assert.deepEqual([scan.members, scan.depth], [members, depth]);
      }),
    );
  });

  it("that come twice in one object are found, however many there are", () => {
    const name = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom("Stream", "ſtream", "K", "k", "K"));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.jsonValue({ maxDepth: 0 })), { maxLength: 40 }), (members) => {
        const folded = members.map(([one]) => foldName(one));
        const twice = new Set(folded).size < folded.length;
        const { fault } = scanMembers(Buffer.from(written(members)), { known: new Set(), free: new Set() });
        assert.equal(fault !== undefined, twice);
      }),
    );
  });

  it("are compared as Go compares them", () => {
    for (const twin of ["Stream", "STREAM", "ſtream", "\\u0073tream", "\\u017ftream", "stream"])
      assert.match(oddIn(`{"stream":false,"${twin}":true}`) ?? "none", /^repeated /, twin);
    for (const twin of ["SKIP", "s\u212aip", "\\u017f\\u212aip"])
      assert.match(oddIn(`{"skip":1,"${twin}":1}`) ?? "none", /^repeated /, twin);
    assert.equal(oddIn('{"straße":1,"STRASSE":1,"ı":1,"i":1}'), undefined);
  });

  it("that are known are told in another spelling, also alone and within lists", () => {
    assert.equal(oddIn('{"Model":"a"}'), "respelt Model");
    assert.equal(oddIn('{"a":[{"b":1},{"mod\\u0065l":"a"}]}'), "respelt model");
    assert.equal(oddIn('{"Other":1,"model":"Model","text":"Stream \\" Stream"}'), undefined);
  });

  it("are the client's own within a schema, each once", () => {
    assert.equal(oddIn('{"schema":{"id":1,"ID":2,"Model":{"Stream":1,"stream":1}}}'), undefined);
    assert.equal(oddIn('{"schema":{"id":1,"id":2}}'), "repeated id");
    assert.equal(oddIn('{"schema":[{"id":1,"ID":2}]}'), "repeated ID");
    assert.equal(oddIn('{"schema":{"a":1},"id":1,"ID":1}'), "repeated ID");
    assert.equal(oddIn('{"schema":"text","x":{"id":1,"ID":1}}'), "repeated ID");
  });

  it("may be the same in two objects", () => {
    assert.equal(oddIn('{"a":{"id":1,"b":{"id":1}},"c":[{"id":1},{"id":2}],"id":1}'), undefined);
    assert.equal(oddIn('{"a":{"id":1},"b":1,"a":2}'), "repeated a");
  });

  it("end the scan where a bound is passed", () => {
    const text = Buffer.from(`{"a":[${"1,".repeat(5000)}1],"b":{"c":{"d":{}}}}`);
    assert.equal(scanMembers(text, RULES, { values: 100 }).values, 101);
    assert.equal(scanMembers(text, RULES, { values: 100 }).passed, "values");
    assert.equal(scanMembers(text, RULES, { members: 3 }).passed, "members");
    assert.equal(scanMembers(text, RULES, { depth: 3 }).passed, "depth");
    assert.equal(scanMembers(text, RULES, { members: 4, depth: 4, values: 6000 }).passed, undefined);
  });

  it("are looked at without trust in the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('{}[]",:\\aA\u017f 1')) }), (text) => {
        scanMembers(Buffer.from(text), RULES);
      }),
    );
  });

  it("of strings with escapes at their end are found", () => {
    const long = "x".repeat(100);
    for (const tail of ["\\\\", '\\"', '\\\\\\"', `${long}\\\\`, `${long}\\"`, `${long}\\"${long}`])
      assert.equal(oddIn(`{"a":"${tail}","id":1,"ID":2}`), "repeated ID", tail);
  });
});
