import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { REDIS_PROGRAMS } from "../../src/local-redis/redis-child.ts";
import { findProgram } from "../../src/config/environment.ts";

/** Lines for redis.conf that people copy from the documentation are such as Redis takes. */

const DOCS = join(import.meta.dirname, "../../docs");
const PAGES = ["operations.md", "redis-setup.md", "redis.md"];
const DIRECTIVES = /^(appendonly|maxmemory|min-replicas-to-write|user replica) /;

function blocksOf(page: string): string[] {
  const text = readFileSync(join(DOCS, page), "utf8");
  return [...text.matchAll(/^```text\n([^]*?)^```$/gm)].map(([, block = ""]) => block);
}

/** The complaint of Redis about a configuration; undefined when it starts with it. */
async function complaint(t: TestContext, conf: string): Promise<string | undefined> {
  const program = findProgram(REDIS_PROGRAMS);
  if (program === undefined) throw new Error("there is no redis-server on PATH");
  const dir = mkdtempSync(join(tmpdir(), "sgnet-conf-"));
  const file = join(dir, "redis.conf");
  writeFileSync(file, `${conf}\nport 0\nunixsocket ${join(dir, "s")}\ndir ${dir}\n`);
  const child = spawn(program, [file], { stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  t.after(async () => {
    child.kill("SIGKILL");
    await closed;
    rmSync(dir, { recursive: true, force: true });
  });
  let said = "";
  return new Promise((resolve) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      if (/ready to accept connections/i.test(said)) resolve(undefined);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    void closed.then(() => resolve(said));
  });
}

describe("lines for redis.conf in the documentation", () => {
  const blocks = PAGES.flatMap((page) => blocksOf(page).map((conf) => ({ page, conf })));
  const confs = blocks.filter(({ conf }) => DIRECTIVES.test(conf.replace(/^#.*\n/gm, "")));

  it("are found", () => assert.equal(confs.length, 4));

  for (const { page, conf } of confs) {
    it(`${page}: Redis starts with ${conf.replace(/^#.*\n/gm, "").split("\n")[0] ?? ""}`, async (t) => {
      assert.equal(await complaint(t, conf), undefined);
    });
  }
});
