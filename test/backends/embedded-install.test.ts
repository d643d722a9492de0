import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { entriesOf } from "../../packaging/embedded-lock.ts";
import { installLibrary, type InstallOptions } from "../../src/backends/embedded/install.ts";
import type { LockEntries } from "../../src/backends/embedded/library-lock.ts";
import { cleanInstall, findNpm, npmErrorLine, type Npm } from "../../src/backends/embedded/npm.ts";
import { inWorkFolder } from "../../src/backends/embedded/work-folder.ts";
import { Fault } from "../../src/core/fault.ts";

const PROJECT: LockEntries = JSON.parse(
  await readFile(join(import.meta.dirname, "../../package-lock.json"), "utf8"),
).packages;
const ENTRIES = entriesOf("node-llama-cpp", PROJECT);
const ON_LINUX = { entries: ENTRIES, platform: "linux", arch: "x64" } as const;
const NAME = `node-llama-cpp-${PROJECT["node_modules/node-llama-cpp"]?.version}-linux-x64`;

describe("the installation of the embedded model's library", { timeout: 300_000 }, () => {
  let base = "";
  let count = 0;

  before(async () => (base = await mkdtemp(join(tmpdir(), "sgnet-install-"))));
  after(() => rm(base, { recursive: true, force: true }));

  async function newFolder(): Promise<string> {
    count += 1;
    const folder = join(base, String(count));
    await mkdir(folder);
    return folder;
  }

  /** A program in npm's place; it runs in the folder that is to be filled. */
  async function npmThat(script: string): Promise<Npm> {
    const file = join(await newFolder(), "npm.cjs");
    await writeFile(file, script);
    return { command: process.execPath, args: [file] };
  }

  /** Does what npm would: lays the two packages that are looked for. */
  const FILLS = `
    const { appendFileSync, mkdirSync, writeFileSync, readFileSync } = require("node:fs");
    const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
    const manifest = JSON.parse(readFileSync("package.json", "utf8"));
    if (lock.packages[""].dependencies["node-llama-cpp"] !== manifest.dependencies["node-llama-cpp"]) process.exit(3);
    if (!process.argv.includes("ci") || !process.argv.includes("--ignore-scripts")) process.exit(4);
    mkdirSync("node_modules/node-llama-cpp/dist", { recursive: true });
    mkdirSync("node_modules/@node-llama-cpp/linux-x64", { recursive: true });
    writeFileSync("node_modules/node-llama-cpp/dist/index.js", "exports.whole = true;");
    appendFileSync(process.env.COUNT, "x");
  `;

  it("says what it does and how large it is, and is done once", async () => {
    const cacheDir = await newFolder();
    const counted = join(await newFolder(), "count");
    const npm = await npmThat(FILLS.replace("process.env.COUNT", JSON.stringify(counted)));
    const said: string[] = [];
    const options = { cacheDir, npm, write: (text: string) => void said.push(text), ...ON_LINUX };
    const module = await installLibrary(options);
    assert.equal(module, join(cacheDir, NAME, "node_modules/node-llama-cpp/dist/index.js"));
    assert.match(
      said.join(""),
      /^Installing node-llama-cpp [\d.]+, .*about 55 MB to fetch, 85 MB in .*, once\.\n/,
    );
    assert.equal(await installLibrary(options), module);
    assert.equal(await readFile(counted, "utf8"), "x");
    assert.deepEqual(await readdir(cacheDir), [NAME]);
  });

  it("ends with one whole folder when several processes install at once", async () => {
    const cacheDir = await newFolder();
    const counted = join(await newFolder(), "count");
    const npm = await npmThat(FILLS.replace("process.env.COUNT", JSON.stringify(counted)));
    const options = { cacheDir, npm, write: quiet, ...ON_LINUX };
    const modules = await Promise.all([1, 2, 3].map(() => installLibrary(options)));
    assert.equal(new Set(modules).size, 1);
    assert.ok((await stat(modules[0] ?? "")).isFile());
    assert.deepEqual(await readdir(cacheDir), [NAME]);
  });

  it("replaces a folder that is not whole", async () => {
    const cacheDir = await newFolder();
    await mkdir(join(cacheDir, NAME, "node_modules"), { recursive: true });
    const counted = join(await newFolder(), "count");
    const npm = await npmThat(FILLS.replace("process.env.COUNT", JSON.stringify(counted)));
    const module = await installLibrary({ cacheDir, npm, write: quiet, ...ON_LINUX });
    assert.ok((await stat(module)).isFile());
    assert.deepEqual(await readdir(cacheDir), [NAME]);
  });

  it("says so where there is no npm", async () => {
    const fault = await refusal({ cacheDir: await newFolder(), npm: undefined, ...ON_LINUX });
    assert.equal(fault.code, "not_implemented");
    assert.match(fault.message, /could not be installed \(there is no npm on PATH\)/);
  });

  it("tells npm's reason where it fails", async () => {
    const npm = await npmThat(
      'process.stderr.write("npm error code ENOTFOUND\\nnpm error errno ENOTFOUND\\nnpm error request to http://example.test/x failed\\n"); process.exit(1);',
    );
    const fault = await refusal({ cacheDir: await newFolder(), npm, ...ON_LINUX });
    assert.equal(fault.code, "backend_unreachable");
    assert.match(fault.message, /\(request to http:\/\/example\.test\/x failed\)/);
  });

  it("gives npm a cache of its own where the account has no home, and leaves nothing of it", async (t) => {
    const { HOME } = process.env;
    t.after(() => (process.env["HOME"] = HOME));
    process.env["HOME"] = join(base, "no home");
    const cacheDir = await newFolder();
    const counted = join(await newFolder(), "count");
    const caches = `
      const cache = process.argv.find((flag) => flag.startsWith("--cache="))?.slice(8) ?? process.exit(5);
      require("node:fs").mkdirSync(cache);`;
    const npm = await npmThat(caches + FILLS.replace("process.env.COUNT", JSON.stringify(counted)));
    await installLibrary({ cacheDir, npm, write: quiet, ...ON_LINUX });
    const left = await readdir(join(cacheDir, NAME));
    assert.deepEqual(left.toSorted(), ["node_modules", "package-lock.json", "package.json"]);
  });

  it("takes no npm at its word that left the native part out, or cannot be started", async () => {
    const idle = await npmThat("");
    const left = await refusal({ cacheDir: await newFolder(), npm: idle, ...ON_LINUX });
    assert.match(left.message, /npm did not install @node-llama-cpp\/linux-x64/);
    const absent = { command: join(base, "absent"), args: [] };
    const gone = await refusal({ cacheDir: await newFolder(), npm: absent, ...ON_LINUX });
    assert.match(gone.message, /ENOENT/);
  });

  it("installs into its folder whatever npm is told by its surroundings", { skip: noNpm() }, async (t) => {
    const npm = findNpm();
    assert.ok(npm !== undefined);
    const odd = {
      npm_config_global: "true",
      npm_config_location: "global",
      npm_config_package_lock: "false",
      npm_config_package_lock_only: "true",
      npm_config_workspace: "elsewhere",
      npm_config_workspaces: "true",
      npm_config_install_strategy: "linked",
      npm_config_dry_run: "true",
      npm_config_offline: "true",
      npm_config_json: "true",
    };
    t.after(() => {
      for (const name of Object.keys(odd)) delete process.env[name];
    });
    const folder = await newFolder();
    await mkdir(join(folder, "part"));
    await writeFile(join(folder, "part/package.json"), '{"name":"part","version":"1.0.0"}');
    const root = { name: "whole", version: "1.0.0", dependencies: { part: "file:part" } };
    const packages = {
      "": root,
      "node_modules/part": { resolved: "part", link: true },
      part: { version: "1.0.0" },
    };
    await writeFile(join(folder, "package.json"), JSON.stringify(root));
    await writeFile(
      join(folder, "package-lock.json"),
      JSON.stringify({ ...root, lockfileVersion: 3, requires: true, packages }),
    );
    Object.assign(process.env, odd);
    await cleanInstall(npm, folder);
    assert.deepEqual(
      (await readdir(join(folder, "node_modules"))).filter((name) => !name.startsWith(".")),
      ["part"],
    );
  });

  it("passes over an old work folder that it may not remove", async (t) => {
    const cacheDir = await newFolder();
    const old = join(cacheDir, "fetch-old");
    await mkdir(join(old, "inner"), { recursive: true });
    await writeFile(join(old, "inner/file"), "");
    await chmod(join(old, "inner"), 0o500);
    await utimes(old, new Date(0), new Date(0));
    t.after(() => chmod(join(old, "inner"), 0o700));
    if (process.getuid?.() === 0) return t.skip("root may remove everything");
    assert.equal(await inWorkFolder(cacheDir, () => Promise.resolve("done")), "done");
  });

  it("refuses bytes that are not those of the hash, with the real npm", { skip: noNpm() }, async (t) => {
    const entries = {
      ...ENTRIES,
      "node_modules/ms": { ...ENTRIES["node_modules/ms"], integrity: `sha512-${"A".repeat(86)}==` },
    };
    assert.ok(Object.hasOwn(ENTRIES, "node_modules/ms"));
    const fault = await refusal({ cacheDir: await newFolder(), ...ON_LINUX, entries });
    if (isOffline(fault)) return t.skip(`no package registry: ${fault.message}`);
    assert.match(fault.message, /Integrity checksum failed|EINTEGRITY/);
  });

  it("gives a library that loads on this machine, with the real npm", { skip: noNpm() }, async (t) => {
    const cacheDir = await newFolder();
    const installed = await installLibrary({ cacheDir, entries: ENTRIES, write: quiet }).catch(
      (error: unknown) => error,
    );
    if (installed instanceof Fault && isOffline(installed)) {
      return t.skip(`no package registry: ${installed.message}`);
    }
    assert.ok(typeof installed === "string", String(installed));
    const library = await import(pathToFileURL(installed).href);
    assert.equal(typeof library.getLlama, "function");
    const llama = await library.getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      logLevel: "error",
    });
    await llama.dispose();
    const [folder = ""] = await readdir(cacheDir);
    const native = await readdir(join(cacheDir, folder, "node_modules/@node-llama-cpp"));
    assert.equal(native.length, 1, "only this machine's binary");
  });
});

function quiet(): void {}

async function refusal(options: InstallOptions): Promise<Fault> {
  const error: unknown = await installLibrary({ write: quiet, ...options }).then(
    () => assert.fail("was not refused"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault);
  assert.match(error.message, /^[A-Z][^\n]*SGNET_EMBEDDED_MODEL=off\.$/);
  assert.deepEqual(await readdir(options.cacheDir), [], "nothing is left behind");
  return error;
}

function noNpm(): false | string {
  return findNpm() === undefined && "there is no npm on PATH";
}

/** Whether npm failed for want of a network, not by our doing. */
function isOffline({ message }: Fault): boolean {
  return /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/.test(message);
}

describe("npm's reason", () => {
  it("is its first line that says why, by old and new versions", () => {
    assert.equal(npmErrorLine("npm ERR! code E404\nnpm ERR! 404 Not Found\n"), "404 Not Found");
    assert.equal(
      npmErrorLine(
        "npm error code EINTEGRITY\nnpm error Integrity checksum failed\nnpm error A complete log of this",
      ),
      "Integrity checksum failed",
    );
    assert.equal(npmErrorLine("npm error code EPERM\n\nnpm error A complete log of this run"), undefined);
    assert.equal(npmErrorLine(""), undefined);
  });
});
