import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { SCRIPTS } from "../../src/redis/scripts.ts";

const PROTOCOL = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");

/** Rows of the script table of docs/protocol.md: keys and arguments as they begin, by script. */
function rows(): ReadonlyMap<string, readonly string[]> {
  const found = PROTOCOL.matchAll(/^\| ([A-Z_]+) +\| `([^`]+)`[^|]*\| `([^`]+)`[^|]*\|/gm);
  return new Map(Array.from(found, ([, name = "", keys = "", args = ""]) => [name, [keys, args]]));
}

/** A line of the script's own header. */
function line(source: string, name: "KEYS" | "ARGV"): string {
  return new RegExp(`^-- ${name}: +(.+)$`, "m").exec(source)?.[1] ?? "";
}

describe("the header of each script", () => {
  it("names the keys and arguments that docs/protocol.md has for it", () => {
    const expected = SCRIPTS.map(({ name, source }) => [
      name.replaceAll("-", "_").toUpperCase(),
      [line(source, "KEYS"), line(source, "ARGV")],
    ]);
    assert.deepEqual(
      [...rows()].toSorted(([a], [b]) => a.localeCompare(b)),
      expected.toSorted(([a], [b]) => String(a).localeCompare(String(b))),
    );
  });

  for (const { name, source } of SCRIPTS) {
    it(`names as many arguments as ${name} reads`, () => {
      const [fixed = ""] = line(source, "ARGV").split(/,? ?(?:\{|\w+\.\.\.)/, 1);
      const named = fixed.split(", ").filter((word) => word !== "").length;
      const read = Array.from(source.matchAll(/ARGV\[(\d+)\]/g), ([, index]) => Number(index));
      assert.equal(Math.max(0, ...read), named);
    });
  }

  it("says nothing about parts that it does not have, nor the other way round", () => {
    for (const { name, source } of SCRIPTS) {
      const parts = /^-- Parts: +(.+)$/m.exec(source)?.[1] ?? "";
      assert.equal(parts.includes("claim-from"), source.includes("local function claimFrom("), name);
      assert.equal(parts.includes("size-of"), source.includes("local function sizeOf("), name);
    }
  });
});
