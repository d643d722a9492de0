import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { superLinear } from "./linear-regex.ts";

const ROOT = join(import.meta.dirname, "../..");

const BAD: Readonly<Record<string, RegExp>> = {
  "the key's, that stalled a gateway": /^bearer\s+(.*)$/i,
  "blanks at an end": /\s+$/,
  "slashes at an end": /\/+$/,
  "two stars": /^a[^/]*b[^/]*c$/,
  "a list with blanks before its commas": /^\w+(?:\s*,?\s*\w+)*$/,
  "nested repeats": /^(?:\d+)+$/,
};

describe("the lint rules of the house", () => {
  for (const [name, { source, flags }] of Object.entries(BAD)) {
    it(`tell of an expression that backtracks: ${name}`, () => {
      assert.notDeepEqual(superLinear(source, flags), []);
    });
  }

  it("let an expression pass that matches in one way only", () => {
    for (const { source, flags } of [/^[\w.:@/+=-]{1,128}$/, /^\d+-\d+$/, /[\r\n\0]+/gu, /^data:[^;,]*,/i]) {
      assert.deepEqual(superLinear(source, flags), []);
    }
  });

  it("fail the run of oxlint, with the file and what to do", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sgnet-lint-"));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, "bad.ts");
    const lines = [
      "export const key = (text: string): boolean => /^bearer\\s+(.*)$/i.test(text);",
      "export const built = (text: string): RegExp => new RegExp(text);",
      "export const gather = (to: number[], from: number[]): number => to.push(...from);",
    ];
    await writeFile(file, lines.join("\n"));
    const oxlint = join(ROOT, "node_modules/oxlint/bin/oxlint");
    const run = promisify(execFile)(process.execPath, [oxlint, "--config", ".oxlintrc.json", file], {
      cwd: ROOT,
    });
    await assert.rejects(run, ({ stdout }: { stdout: string }) => {
      assert.match(stdout, /linear-regex.{1,20}The time of .{1,40}bearer/s);
      assert.match(stdout, /An expression that is put together cannot be checked/);
      assert.match(stdout, /no-wide-spread.{1,20}push/s);
      return true;
    });
  });
});
