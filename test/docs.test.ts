import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { FAULTS } from "../src/core/fault.ts";
import { Keys } from "../src/redis/keys.ts";

const ROOT = join(import.meta.dirname, "..");
const PAGES = globSync(["*.md", "docs/**/*.md"], { cwd: ROOT });

/** Made by `make bench`, and there only after it. */
const MADE_LATER = /^bench\/results\b/;

/** Pages that tell how things are. Decisions and the changelog tell how they were. */
const NOW = globSync(["*.md", "docs/*.md"], { cwd: ROOT }).filter((page) => page !== "CHANGELOG.md");

const PATH = /(?<![\w/.-])(?:src|test|docs|bench|grafana|packaging|bin)\/[\w./*-]*[\w*]/g;

function pathsIn(text: string): string[] {
  return Array.from(text.matchAll(PATH), ([path]) => path).filter((path) => !MADE_LATER.test(path));
}

function exists(path: string): boolean {
  return path.includes("*") ? globSync(path, { cwd: ROOT }).length > 0 : existsSync(join(ROOT, path));
}

/** Source files named without a folder that are not beside the path that the same line names before them. */
function strayFiles(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    let folder = "";
    return Array.from(line.matchAll(/`([\w./*-]+\.(?:ts|lua))`/g), ([, name = ""]) => name).filter((name) => {
      if (!name.includes("/")) return folder === "" || !exists(join(folder, name));
      folder = dirname(name);
      return false;
    });
  });
}

/** The anchors of the titles of a page, as GitHub forms them. */
function sectionsOf(page: string): Set<string> {
  return new Set(
    Array.from(page.matchAll(/^#+ (.+)$/gm), ([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}

/** @param key key that belongs to the task `T.1` */
function ofTask(key: string): string {
  return key.replaceAll("T.1", "<task>").replace("{T}", "{<tag>}");
}

describe("the documents", () => {
  it("link to what exists", () => {
    const broken = PAGES.flatMap((page) =>
      Array.from(read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g), ([, target = ""]) =>
        normalize(join(dirname(page), target)),
      )
        .filter((target) => !MADE_LATER.test(target) && !existsSync(join(ROOT, target)))
        .map((target) => `${page} -> ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  it("link to sections that exist", () => {
    const broken = PAGES.flatMap((page) =>
      Array.from(read(page).matchAll(/\]\(([^)#:\s]*)#([^)\s]+)\)/g), ([, file = "", section = ""]) => ({
        target: file === "" ? page : normalize(join(dirname(page), file)),
        section,
      }))
        .filter(({ target, section }) => !sectionsOf(read(target)).has(section))
        .map(({ target, section }) => `${page} -> ${target}#${section}`),
    );
    assert.deepEqual(broken, []);
  });

  it("name files of the source that exist", () => {
    const missing = PAGES.flatMap((page) =>
      Array.from(read(page).matchAll(/`((?:src|test|docs)\/[\w./-]+)`/g), ([, target = ""]) => target)
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${page} -> ${target}`),
    );
    assert.deepEqual(missing, []);
  });

  it("name paths that exist, in diagrams, commands and sentences", () => {
    const missing = NOW.flatMap((page) =>
      pathsIn(read(page))
        .filter((path) => !exists(path))
        .map((path) => `${page} -> ${path}`),
    );
    assert.deepEqual(missing, []);
  });

  it("name files without their folder only beside one that is in the same folder", () => {
    const missing = NOW.flatMap((page) => strayFiles(read(page)).map((file) => `${page} -> ${file}`));
    assert.deepEqual(missing, []);
  });

  it("find what does not exist", () => {
    assert.deepEqual(
      pathsIn("A `src/a/*.ts`, src/b.ts. [c](docs/c.md#d) /x/src/e.ts ../test/f https://g.h/src/i"),
      ["src/a/*.ts", "src/b.ts", "docs/c.md"],
    );
    assert.ok(exists("src/core/*.ts") && exists("src/core") && !exists("src/core/*.lua") && !exists("src/x"));
    const lines = "`src/core/task.ts`, `fault.ts`, `nothing.ts`\n`task.ts` alone";
    assert.deepEqual(strayFiles(lines), ["nothing.ts", "task.ts"]);
  });

  it("list every decision", () => {
    const index = read("docs/decisions/README.md");
    const pages = PAGES.filter((page) => /decisions\/\d/.test(page)).map(
      (page) => page.split("/").at(-1) ?? "",
    );
    assert.ok(pages.length > 0);
    assert.deepEqual(
      pages.filter((page) => !index.includes(`(${page})`)),
      [],
    );
  });

  it("describe every key and channel of Redis as the code forms it", () => {
    const keys = new Keys("sgnet");
    const all = [
      keys.queue("<model>"),
      keys.doorbell("<model>"),
      ofTask(keys.reply("T.1")),
      ofTask(keys.body("T.1")),
      keys.channel("<tag>"),
      keys.gateway("<tag>"),
      keys.gatewayMetrics("<tag>"),
      keys.gateways(),
      keys.interrupt("<worker>.<n>"),
      keys.worker("<worker>"),
      keys.workerMetrics("<worker>"),
      keys.workers(),
      keys.models(),
      keys.control("<worker>"),
      keys.controlAll(),
      keys.fleet(),
      keys.dead("<model>"),
      keys.deadBody("<model>", "<task>"),
      keys.letterLock("<model>", "<id>"),
      keys.deads(),
      keys.log(),
      keys.audit(),
      keys.accessRecords(),
      keys.accessVersions(),
      keys.accessNames(),
      keys.budgets("<tenant>"),
      keys.usage("<tenant>", "<yyyymmdd>"),
      keys.usedTenants(),
      keys.rates("<tenant>"),
      keys.openSlots({ tenant: "<tenant>" }),
      keys.slotWishes(),
    ];
    const verbs = Object.getOwnPropertyNames(Keys.prototype).filter((name) => name !== "constructor");
    assert.equal(all.length, verbs.length);
    const page = read("docs/protocol.md");
    assert.deepEqual(
      all.filter((key) => !page.includes(`| \`${key}\` `)),
      [],
    );
  });

  it("name fault codes that exist", () => {
    const codes = Array.from(
      read("docs/operations.md").matchAll(/^\| \d{3}, `(\w+)`/gm),
      ([, code = ""]) => code,
    );
    assert.ok(codes.length > 5);
    assert.deepEqual(
      codes.filter((code) => !Object.hasOwn(FAULTS, code)),
      [],
    );
  });
});
