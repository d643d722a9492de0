import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { installPlan, type LockEntries } from "../../src/backends/embedded/library-lock.ts";
import { entriesOf } from "../../packaging/embedded-lock.ts";

const PROJECT: LockEntries = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../package-lock.json"), "utf8"),
).packages;
const ENTRIES = entriesOf("node-llama-cpp", PROJECT);
const NATIVE = "node_modules/@node-llama-cpp/";

/** The entries of a plan's lock file. */
function lockOf(platform: string, arch: string): LockEntries {
  return JSON.parse(installPlan(ENTRIES, platform, arch).lock).packages;
}

describe("what is installed for the embedded model", () => {
  it("is what the lock file of the project says, each with its hash", () => {
    assert.ok(Object.keys(ENTRIES).length > 100);
    for (const [path, { version, integrity }] of Object.entries(ENTRIES)) {
      assert.deepEqual([version, integrity], [PROJECT[path]?.version, PROJECT[path]?.integrity], path);
      assert.match(integrity ?? "", /^sha512-/, path);
    }
  });

  it("is all that the library needs, and nothing of the rest of the project", () => {
    for (const [path, { dependencies = {} }] of Object.entries(ENTRIES)) {
      for (const name of Object.keys(dependencies)) {
        assert.ok(
          Object.keys(ENTRIES).some((other) => other.endsWith(`node_modules/${name}`)),
          `${path} needs ${name}`,
        );
      }
    }
    for (const stranger of ["typescript", "undici", "redis", "openai"])
      assert.ok(!Object.hasOwn(ENTRIES, `node_modules/${stranger}`), stranger);
  });

  for (const [platform, arch, binary] of [
    ["linux", "x64", "linux-x64"],
    ["linux", "arm64", "linux-arm64"],
    ["linux", "arm", "linux-armv7l"],
    ["linux", "riscv64", "linux-riscv64"],
    ["darwin", "arm64", "mac-arm64-metal"],
    ["darwin", "x64", "mac-x64"],
    ["win32", "x64", "win-x64"],
    ["win32", "arm64", "win-arm64"],
  ] as const) {
    it(`has one native package on ${platform} with ${arch}: ${binary}`, () => {
      const lock = lockOf(platform, arch);
      const native = Object.keys(lock).filter((path) => path.startsWith(NATIVE));
      assert.deepEqual(native, [`${NATIVE}${binary}`]);
      assert.match(lock[`${NATIVE}${binary}`]?.integrity ?? "", /^sha512-/);
      assert.deepEqual(lock["node_modules/node-llama-cpp"]?.optionalDependencies, {
        [`@node-llama-cpp/${binary}`]: PROJECT["node_modules/node-llama-cpp"]?.version,
      });
    });
  }

  it("is refused in a sentence on other machines", () => {
    for (const [platform, arch] of [
      ["freebsd", "x64"],
      ["linux", "s390x"],
      ["__proto__", "toString"],
    ] as const) {
      assert.throws(() => installPlan(ENTRIES, platform, arch), {
        code: "not_implemented",
        message: /^The embedded model does not run on .*SGNET_EMBEDDED_MODEL=off\.$/,
      });
    }
  });

  it("pins the version in the manifest that npm compares with the lock", () => {
    const { version, manifest } = installPlan(ENTRIES, "linux", "x64");
    assert.equal(version, PROJECT["node_modules/node-llama-cpp"]?.version);
    assert.deepEqual(JSON.parse(manifest).dependencies, { "node-llama-cpp": version });
  });
});
