import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import { productBuild } from "../../src/config/version.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

test("the build is the commit of a checkout, on a branch or not, and nothing without one", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "sgnet-version-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const git = pathToFileURL(`${dir}/`);
  assert.equal(productBuild(git), "");
  mkdirSync(join(dir, "refs/heads"), { recursive: true });
  writeFileSync(join(dir, "HEAD"), "ref: refs/heads/main\n");
  assert.equal(productBuild(git), "", "a branch without a commit");
  writeFileSync(join(dir, "refs/heads/main"), `${COMMIT}\n`);
  assert.equal(productBuild(git), "0123456789ab");
  writeFileSync(join(dir, "HEAD"), `${COMMIT}\n`);
  assert.equal(productBuild(git), "0123456789ab");
});
