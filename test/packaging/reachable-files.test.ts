import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const REACH = pathToFileURL(join(import.meta.dirname, "../../packaging/reachable-files.ts")).href;

/** A program with packages of every kind: old and new modules, nested ones, two doors, optional parts. */
const FILES: Readonly<Record<string, string>> = {
  "dist/main.js": `import { a } from "two-doors"; import "node:fs"; await import("late"); export * from './own.js'; import "left-out"; // see "a comment"`,
  "dist/own.js": `import c from "old/lib/part.js"; import gone from "absent"; import cut from "absent/part";`,
  "node_modules/two-doors/package.json": `{"name":"two-doors","exports":{"import":"./new.mjs","require":"./old.cjs"}}`,
  "node_modules/two-doors/new.mjs": `import "nested";`,
  "node_modules/two-doors/old.cjs": `require("old");`,
  "node_modules/two-doors/node_modules/nested/package.json": `{"name":"nested","main":"nested.js"}`,
  "node_modules/two-doors/node_modules/nested/nested.js": `try { require("optional") } catch {}`,
  "node_modules/nested/package.json": `{"name":"nested","main":"other.js"}`,
  "node_modules/nested/other.js": "",
  "node_modules/late/package.json": `{"name":"late","main":"late.js"}`,
  "node_modules/late/late.js": `require('./data.json'); /** @type {import("./types.ts")} */`,
  "node_modules/late/data.json": "{}",
  "node_modules/late/types.ts": "",
  "node_modules/late/never.js": "",
  "node_modules/old/package.json": `{"name":"old","main":"index.js"}`,
  "node_modules/old/index.js": "",
  "node_modules/old/lib/part.js": `module.exports = require("../lib/other");`,
  "node_modules/old/lib/other.js": `require("..");`,
  "node_modules/left-out/package.json": `{"name":"left-out","main":"left.js"}`,
  "node_modules/left-out/left.js": "",
};

test("the files of packages that a program reaches are found as Node finds them, and no others", (t) => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "sgnet-reach-")));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [file, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  // As the build runs it: with the flag by which Node tells what another file's import means.
  const script = `import { reachableFiles } from ${JSON.stringify(REACH)};
    const entries = ["main.js", "own.js"].map((name) => ${JSON.stringify(root)} + "/dist/" + name);
    process.stdout.write(JSON.stringify(reachableFiles(entries, ["left-out"])));`;
  const output = execFileSync(
    process.execPath,
    ["--experimental-import-meta-resolve", "--input-type=module", "--eval", script],
    { encoding: "utf8" },
  );
  const { files, packages, missing } = JSON.parse(output.replaceAll(`${root}/`, ""));
  assert.deepEqual(files, [
    "node_modules/late/data.json",
    "node_modules/late/late.js",
    "node_modules/old/index.js",
    "node_modules/old/lib/other.js",
    "node_modules/old/lib/part.js",
    "node_modules/two-doors/new.mjs",
    "node_modules/two-doors/node_modules/nested/nested.js",
  ]);
  assert.deepEqual(packages, [
    "node_modules/late",
    "node_modules/old",
    "node_modules/two-doors",
    "node_modules/two-doors/node_modules/nested",
  ]);
  assert.deepEqual(missing, ["dist/own.js -> absent", "dist/own.js -> absent/part"]);
});
