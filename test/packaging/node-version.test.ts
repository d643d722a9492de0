import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, describe, it } from "node:test";
import { checkNode } from "../../src/commands/doctor.ts";
import { processEnvironment } from "../../src/config/environment.ts";
import { productVersion } from "../../src/config/version.ts";
import { chooseBinary, type Machine } from "../../src/gateway/http/uws-binary.ts";

const ROOT = join(import.meta.dirname, "../..");
const ENTRY = join(ROOT, "bin/sgnet.cjs");
const SENTENCE =
  /^sgnet needs Node\.js 22 \(from 22\.19 on\), 24 or 25, and this is [\d.]+ \(\/\S+\): install Node\.js 24 from \S+, or with `nvm install 24`\.\n$/;

/** Versions at each border, the number of their native interface, and whether they are supported. */
const VERSIONS: readonly (readonly [string, string, boolean])[] = [
  ["0.10.48", "11", false],
  ["18.20.8", "108", false],
  ["20.20.2", "115", false],
  ["21.7.3", "120", false],
  ["22.18.0", "127", false],
  ["22.19.0", "127", true],
  ["22.21.1", "127", true],
  ["23.11.0", "131", false],
  ["24.0.0", "137", true],
  ["24.21.0", "137", true],
  ["25.1.0", "141", true],
  ["26.0.0", "147", false],
  ["100.0.0", "300", false],
];

/** Programs named node on PATH that are older than what is needed. */
function oldNodes(): string[] {
  const folders = (processEnvironment()["PATH"] ?? "").split(delimiter);
  const paths = [...folders, "/usr/bin", "/usr/local/bin"].map((folder) => join(folder, "node"));
  return [...new Set(paths)].filter((path) => {
    try {
      accessSync(path, constants.X_OK);
      const major = /^v(\d+)\./.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1];
      return Number(major) < 22;
    } catch {
      return false;
    }
  });
}

describe("the entry of the program", () => {
  const folder = mkdtempSync(join(tmpdir(), "sgnet-entry-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs the entry as if this Node had another version. */
  function runAs(version: string): ReturnType<typeof spawnSync> {
    const disguise = join(folder, `${version}.cjs`);
    writeFileSync(
      disguise,
      `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });`,
    );
    return spawnSync(process.execPath, ["-r", disguise, ENTRY, "--version"], { encoding: "utf8" });
  }

  for (const [version, abi, supported] of VERSIONS) {
    it(`${supported ? "runs" : "refuses to run"} on Node ${version}, as doctor and the HTTP binary do`, () => {
      const { status, stdout, stderr } = runAs(version);
      if (supported) assert.deepEqual([status, stdout, stderr], [0, `${productVersion()}\n`, ""]);
      else {
        assert.deepEqual([status, stdout], [1, ""]);
        assert.match(String(stderr), SENTENCE);
        assert.ok(String(stderr).includes(` this is ${version} (${process.execPath})`));
      }
      assert.equal(checkNode(version).ok, supported, "doctor");
      const machine: Machine = { platform: "linux", arch: "x64", node: version, abi, glibc: "2.41" };
      if (supported) assert.ok(chooseBinary(machine).file);
      else assert.throws(() => chooseBinary(machine), { code: "internal" });
    });
  }

  it("is what package.json says", () => {
    const { bin, engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    assert.deepEqual([bin, engines], [{ sgnet: "bin/sgnet.cjs" }, { node: "^22.19 || ^24 || ^25" }]);
  });

  const old = oldNodes();
  it(
    "says one sentence on an old Node, whatever the command",
    { skip: old.length === 0 && "no Node before 22 is on PATH" },
    () => {
      for (const node of old) {
        for (const args of [[], ["up"], ["gateway", "--port", "1"], ["--help"]]) {
          const { status, stdout, stderr } = spawnSync(node, [ENTRY, ...args], { encoding: "utf8" });
          assert.deepEqual([status, stdout], [1, ""]);
          assert.match(stderr, SENTENCE);
        }
      }
    },
  );

  it("has no syntax that is younger than ES5, so that every Node can read it", () => {
    const code = readFileSync(ENTRY, "utf8")
      .replace(/^#!.*/, "")
      .replaceAll(/\/\*[^]*?\*\//g, "")
      .replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
    // ECMAScript 5.1, sections 7.6 and 7.7: these words and marks came later, and a comma before a closing bracket.
    const younger =
      /=>|`|\?\.|\?\?|\*\*|\.\.\.|#|\b(?:const|let|class|async|await|import|export|yield|of)\b|,\s*\)|\b\d+n\b/;
    assert.doesNotMatch(code, younger);
    assert.equal(code.includes("//"), false);
  });
});
