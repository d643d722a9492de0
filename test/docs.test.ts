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

function read(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}

/** @param key of the task `T.1` */
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

  it("name files of the source that exist", () => {
    const missing = PAGES.flatMap((page) =>
      Array.from(read(page).matchAll(/`((?:src|test|docs)\/[\w./-]+)`/g), ([, target = ""]) => target)
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${page} -> ${target}`),
    );
    assert.deepEqual(missing, []);
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
      keys.farewell("<worker>.<n>"),
      keys.worker("<worker>"),
      keys.workerMetrics("<worker>"),
      keys.workers(),
      keys.models(),
      keys.control("<worker>"),
      keys.controlAll(),
      keys.fleet(),
      keys.dead("<model>"),
      keys.deadBody("<model>", "<task>"),
      keys.deadHold("<model>", "<id>"),
      keys.deads(),
      keys.log(),
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
