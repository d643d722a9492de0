import { createHash } from "node:crypto";
import assert from "node:assert/strict";
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { writeArchive } from "../../packaging/http-binaries.ts";
import { Fault } from "../../src/core/fault.ts";
import { patchForOlderGlibc } from "../../src/gateway/http/glibc-patch.ts";
import { acceptHttp10 } from "../../src/gateway/http/http10.ts";
import { GRAFTS } from "../../src/gateway/http/http10-grafts.ts";
import { archiveOf, chooseBinary, type Machine } from "../../src/gateway/http/uws-binary.ts";
import { loadUws, thisMachine } from "../../src/gateway/http/uws.ts";

const installed = dirname(createRequire(import.meta.url).resolve("uWebSockets.js"));
const here = thisMachine();
const debian12: Machine = { platform: "linux", arch: "x64", node: "24.21.0", abi: "137", glibc: "2.36" };

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "sgnet-uws-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function binaryOf(arch: string, abi: string): Buffer {
  return readFileSync(join(installed, `uws_linux_${arch}_${abi}.node`));
}

function adaptedCopy(file: string): Buffer {
  return acceptHttp10(patchForOlderGlibc(readFileSync(join(installed, file))));
}

/** The message of an internal fault, which must be one sentence to people. */
function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Fault);
    assert.equal(error.code, "internal");
    assert.match(error.message, /^[A-Z][^\n]*\.$/u);
    return error.message;
  }
  return assert.fail("was not refused");
}

describe("the choice of the HTTP binary", () => {
  for (const [what, machine, file, mustAdapt] of [
    ["Debian 12", debian12, "uws_linux_x64_137.node", true],
    ["glibc 2.38", { ...debian12, glibc: "2.38" }, "uws_linux_x64_137.node", false],
    ["glibc 2.41 on arm64", { ...debian12, glibc: "2.41", arch: "arm64" }, "uws_linux_arm64_137.node", false],
    ["Node 22", { ...debian12, node: "22.19.0", abi: "127" }, "uws_linux_x64_127.node", true],
    ["Node 25", { ...debian12, node: "25.1.0", abi: "141" }, "uws_linux_x64_141.node", true],
    [
      "macOS",
      { ...debian12, platform: "darwin", arch: "arm64", glibc: undefined },
      "uws_darwin_arm64_137.node",
      false,
    ],
    ["Windows", { ...debian12, platform: "win32", glibc: undefined }, "uws_win32_x64_137.node", false],
  ] as const) {
    it(`for ${what} is ${file}${mustAdapt ? ", adapted" : ""}`, () => {
      const choice = chooseBinary(machine);
      assert.deepEqual([choice.file, choice.mustAdapt], [file, mustAdapt]);
      assert.equal(choice.adapted !== undefined, machine.platform === "linux");
      assert.match(choice.sha256, /^[0-9a-f]{64}$/u);
      assert.ok(statSync(join(installed, file)).isFile());
      if (choice.adapted !== undefined) {
        const copy = adaptedCopy(file);
        assert.equal(choice.adapted, createHash("sha256").update(copy).digest("hex"));
      }
    });
  }

  for (const [what, machine, sentence] of [
    ["musl", { ...debian12, glibc: undefined }, /needs glibc.*node:24-slim/u],
    ["an old glibc", { ...debian12, glibc: "2.31" }, /glibc 2\.36 or newer and this system has 2\.31/u],
    [
      "Node 26",
      { ...debian12, node: "26.0.0", abi: "147" },
      /no HTTP binary for Node 26\.0\.0: use Node 22/u,
    ],
    [
      "Node 23",
      { ...debian12, node: "23.11.0", abi: "131" },
      /no HTTP binary for Node 23\.11\.0: use Node 22/u,
    ],
    ["Node 22.18", { ...debian12, node: "22.18.0", abi: "127" }, /Node 22\.18\.0 is too old: use Node 22/u],
    ["Node 20", { ...debian12, node: "20.19.0", abi: "115" }, /Node 20\.19\.0 is too old/u],
    ["another processor", { ...debian12, arch: "riscv64" }, /for linux on riscv64: use/u],
    ["another system", { ...debian12, platform: "freebsd", glibc: undefined }, /for freebsd on x64: use/u],
  ] as const) {
    it(`for ${what} is a sentence that says what to use`, () => {
      assert.match(
        refusal(() => chooseBinary(machine)),
        sentence,
      );
    });
  }
});

describe("adapting the HTTP binary", () => {
  // arm64 needs no sscanf. Each symbol changes two bytes: the low ones of its name offset and its version. One flag changes.
  for (const [arch, symbols] of [
    ["x64", 3],
    ["arm64", 2],
  ] as const) {
    for (const abi of ["127", "137", "141"]) {
      it(`changes ${symbols} symbols and one flag of ${arch} ${abi}, once`, () => {
        const original = binaryOf(arch, abi);
        const before = Buffer.from(original);
        const adapted = patchForOlderGlibc(original);
        assert.ok(original.equals(before), "the argument is left alone");
        assert.equal(adapted.length, original.length);
        const changed = adapted.reduce((count, byte, at) => count + Number(byte !== original[at]), 0);
        assert.equal(changed, symbols * 2 + 1);
        assert.ok(patchForOlderGlibc(adapted).equals(adapted));
      });
    }
  }

  it("refuses any other symbol of GLIBC_2.38", () => {
    const binary = binaryOf("x64", "137");
    const at = binary.indexOf("__isoc23_sscanf\0");
    binary.write("__isoc23_fscanf", at, "latin1");
    assert.match(
      refusal(() => patchForOlderGlibc(binary)),
      /it needs __isoc23_fscanf of GLIBC_2\.38\)/u,
    );
  });

  it("refuses what is no 64-bit library of x64 or arm64", () => {
    const riscv = binaryOf("x64", "137");
    riscv.writeUInt16LE(243, 18);
    for (const bytes of [Buffer.alloc(0), Buffer.from("#!/bin/sh\n".repeat(20)), riscv]) {
      assert.match(
        refusal(() => patchForOlderGlibc(bytes)),
        /no 64-bit ELF file of x64 or arm64\)/u,
      );
    }
  });

  it("refuses a file that is cut off", () => {
    const binary = binaryOf("x64", "137");
    for (const length of [64, 1000, binary.length - 3000]) {
      assert.match(
        refusal(() => patchForOlderGlibc(binary.subarray(0, length))),
        /\(it is cut off\)/u,
      );
    }
  });
});

describe("changing the HTTP binary to take HTTP/1.0", () => {
  for (const arch of ["x64", "arm64"]) {
    for (const abi of ["127", "137", "141"]) {
      it(`changes few bytes of ${arch} ${abi}, and only once`, () => {
        const original = binaryOf(arch, abi);
        const before = Buffer.from(original);
        const changed = acceptHttp10(original);
        assert.ok(original.equals(before), "the argument is left alone");
        assert.equal(changed.length, original.length);
        const bytes = changed.reduce((count, byte, at) => count + Number(byte !== original[at]), 0);
        assert.ok(bytes > 100 && bytes < 250, String(bytes));
        assert.match(
          refusal(() => acceptHttp10(changed)),
          /\(0 places for version\)/u,
        );
      });
    }
  }

  it("refuses code that is not the one it knows, or knows twice", () => {
    const graft = GRAFTS.get(62)?.find(({ name }) => name === "hostLater");
    const pattern = Buffer.from((graft?.pattern ?? "").replaceAll(/ /g, "").replaceAll("..", "00"), "hex");
    const binary = binaryOf("x64", "137");
    pattern.copy(binary, binary.length - 1000);
    assert.match(
      refusal(() => acceptHttp10(binary)),
      /\(2 places for hostLater\)/u,
    );
  });

  it("refuses what is no library of a known processor, or has no room behind its code", () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from("#!/bin/sh\n".repeat(20))]) {
      assert.match(
        refusal(() => acceptHttp10(bytes)),
        /\(no change is known for its processor\)/u,
      );
    }
    const full = binaryOf("x64", "137");
    full.fill(1, 0x3e1519, 0x3e2000);
    assert.match(
      refusal(() => acceptHttp10(full)),
      /\(the place behind its code is taken\)/u,
    );
  });
});

describe("loading the HTTP binary", () => {
  it("gives a working module here", (t) => {
    const uws = loadUws({ cacheDir: folder(t) });
    assert.equal(typeof uws.App, "function");
    assert.equal(typeof uws.us_listen_socket_close, "function");
  });

  it("refuses a file that is not the pinned one, before any of it runs", (t) => {
    const packageDir = folder(t);
    const { file } = chooseBinary(here);
    copyFileSync(join(installed, file), join(packageDir, file));
    writeFileSync(join(packageDir, file), "x", { flag: "a" });
    const cacheDir = folder(t);
    assert.match(
      refusal(() => loadUws({ cacheDir, packageDir })),
      /SHA-256 differs\): run npm ci/u,
    );
    assert.deepEqual(readdirSync(cacheDir), []);
  });

  it("says so when the file is missing", (t) => {
    const packageDir = folder(t);
    assert.match(
      refusal(() => loadUws({ cacheDir: packageDir, packageDir })),
      /cannot be read \(ENOENT.*run npm install again/u,
    );
  });

  const onLinux = { skip: here.platform === "linux" ? false : "only Linux files are adapted" };
  const adapting: Machine = { ...here, glibc: "2.36" };

  it("keeps an adapted copy in a folder it makes, and trusts no other file there", onLinux, (t) => {
    const cacheDir = join(folder(t), "deep", "er");
    loadUws({ cacheDir, machine: adapting });
    const [name = ""] = readdirSync(cacheDir);
    const { file } = chooseBinary(adapting);
    const expected = adaptedCopy(file);
    const copy = join(cacheDir, name);
    assert.ok(readFileSync(copy).equals(expected));
    assert.equal(statSync(copy).mode & 0o777, 0o500);

    const kept = statSync(copy).ino;
    loadUws({ cacheDir, machine: adapting });
    assert.equal(statSync(copy).ino, kept, "a good copy is kept");

    rmSync(copy); // a new file: the old one is mapped into this process
    writeFileSync(copy, expected.subarray(0, 1000));
    loadUws({ cacheDir, machine: adapting });
    assert.ok(readFileSync(copy).equals(expected), "a bad copy is replaced");
    assert.deepEqual(readdirSync(cacheDir), [name]);
  });

  it("does without HTTP/1.0 where the folder cannot be used and the file loads as it is", onLinux, (t) => {
    const cacheDir = join(folder(t), "file");
    writeFileSync(cacheDir, "");
    const asBuilt = { skip: here.glibc !== undefined && here.glibc < "2.38" };
    if (!asBuilt.skip) assert.equal(loadUws({ cacheDir }).http10, false);
    else
      assert.match(
        refusal(() => loadUws({ cacheDir, machine: { ...here, glibc: "2.38" } })),
        /GLIBC_2.38/u,
      );
  });

  const SYSTEMS: readonly (readonly [string, Machine])[] = [
    ["this machine", here],
    ["Debian 12", { ...here, glibc: "2.36" }],
    ["a newer glibc", { ...here, glibc: "2.41" }],
  ];
  for (const [what, machine] of SYSTEMS) {
    it(
      `unpacks the archive of a published package for ${what}, and trusts no other bytes`,
      onLinux,
      async (t) => {
        const archiveDir = folder(t);
        const cacheDir = join(folder(t), "deep");
        const { file, sha256, adapted } = chooseBinary(machine);
        await writeArchive(join(archiveDir, archiveOf(file)), [file], installed);
        // The file for a newer C library does not load on an older one: the test checks the unpacked bytes, not a run.
        try {
          loadUws({ cacheDir, archiveDir, machine });
        } catch (error) {
          assert.match(String(error), /does not load/);
        }
        const [name = ""] = readdirSync(cacheDir);
        const hash = createHash("sha256")
          .update(readFileSync(join(cacheDir, name)))
          .digest("hex");
        assert.equal(hash, adapted ?? sha256);
        assert.ok(name.startsWith(hash.slice(0, 16)));
      },
    );
  }

  it("refuses an archive with other bytes, without the file, or cut off, and keeps nothing of it", async (t) => {
    const { file } = chooseBinary(here);
    const strange = folder(t);
    writeFileSync(join(strange, file), "no binary");
    for (const [files, sentence] of [
      [[file], /is not the one this version was tested with.*install the package again/],
      [[], /cannot be read from .* is not in it\): install the package again/],
    ] as const) {
      const archiveDir = folder(t);
      const cacheDir = folder(t);
      const archive = join(archiveDir, archiveOf(file));
      await writeArchive(archive, files, strange);
      assert.match(
        refusal(() => loadUws({ cacheDir, archiveDir })),
        sentence,
      );
      writeFileSync(archive, readFileSync(archive).subarray(0, 5));
      assert.match(
        refusal(() => loadUws({ cacheDir, archiveDir })),
        /cannot be read from .*install the package again/,
      );
      assert.deepEqual(readdirSync(cacheDir), []);
    }
  });

  it("says so when the folder cannot be used", onLinux, (t) => {
    const cacheDir = join(folder(t), "file");
    writeFileSync(cacheDir, "");
    assert.match(
      refusal(() => loadUws({ cacheDir, machine: adapting })),
      /cannot be kept in .*choose a cache folder that can be written/u,
    );
  });
});
