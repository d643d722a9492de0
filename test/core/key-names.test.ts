import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keyNamesOf, keyText, readKeyNames } from "../../src/core/access/key-names.ts";
import { ANONYMOUS } from "../../src/core/access/principal.ts";
import { readSummary } from "../../src/core/summary.ts";

const SUMMARY = {
  task: "g.1",
  request: "r",
  endpoint: "openai-chat",
  model: "tiny",
  at: 1,
  code: "ok",
  status: 200,
  totalMs: 5,
};

/** Values that a record of another process may have for a name. */
const HOSTILE: readonly unknown[] = [
  undefined,
  null,
  "",
  7,
  {},
  ["a"],
  "a\nlevel=error",
  "a\u001B[2J",
  "a\u2028b",
  "a\u0000",
  "x".repeat(129),
];

describe("the names of a key", () => {
  it("are those of the key's record, never its secret, and none without a key", () => {
    const digest = "d".repeat(64);
    const key = {
      id: "k1",
      name: "Ann's laptop",
      tenant: "lab",
      digest,
      hint: "beef",
      role: "client",
      models: [],
      created: 0,
    } as const;
    assert.deepEqual(keyNamesOf({ role: "client", key }), { keyName: "Ann's laptop", tenant: "lab" });
    assert.deepEqual([keyNamesOf(ANONYMOUS), keyNamesOf(undefined)], [{}, {}]);
  });

  it("are read in any script, and left out when they cannot be names", () => {
    assert.deepEqual(readKeyNames("Ännchens Gerät 📟", "lab"), {
      keyName: "Ännchens Gerät 📟",
      tenant: "lab",
    });
    assert.deepEqual(readKeyNames("𝒳".repeat(64), "lab").tenant, "lab");
    for (const bad of HOSTILE) {
      assert.deepEqual(readKeyNames(bad, "lab"), {}, String(bad));
      assert.deepEqual(readKeyNames("ann", bad), {}, String(bad));
    }
  });

  it("are one text where there is one column", () => {
    assert.equal(keyText({ keyName: "ann", tenant: "lab" }), "ann (lab)");
    assert.equal(keyText({ keyName: "ann" }), "ann");
    assert.equal(keyText({}), undefined);
  });
});

describe("the summary of a task", () => {
  it("of an older gateway has no names and is read all the same", () => {
    assert.deepEqual(readSummary(SUMMARY), SUMMARY);
    assert.equal(readSummary({ ...SUMMARY, task: 1 }), undefined);
    assert.equal(readSummary(null), undefined);
  });

  it("has its names, and is read without names that are none", () => {
    const named = { ...SUMMARY, keyName: "ann", tenant: "lab" };
    assert.deepEqual(readSummary(named), named);
    for (const bad of HOSTILE) assert.deepEqual(readSummary({ ...named, keyName: bad }), SUMMARY);
  });
});
