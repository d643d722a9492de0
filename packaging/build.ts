/** Completes what the compiler wrote to dist: with it the package runs, needs no other one, and installs offline. */
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LLAMA_LIBRARY, LOCK_FILE } from "../src/backends/embedded/library-lock.ts";
import type { LockEntries } from "../src/backends/embedded/library-lock.ts";
import { entriesOf } from "./embedded-lock.ts";
import { archiveBinaries } from "./http-binaries.ts";
import { writeNotices } from "./notices.ts";
import { copyPackages } from "./packages.ts";

const ROOT = join(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");
const INSTALLED = join(ROOT, "node_modules");

/**
 * Packages that are not copied. The library of the embedded model is installed at its first use. The HTTP binaries go
 * into archives. msgpackr's native part makes small records slower (0.44 instead of 0.33 µs per frame).
 */
const LEFT = [LLAMA_LIBRARY, "uWebSockets.js", "msgpackr-extract"];

// The packages of an earlier build would be found before the installed ones.
rmSync(join(DIST, "node_modules"), { recursive: true, force: true });

const carried = copyPackages({
  entries: globSync("**/*.js", { cwd: DIST }).map((file) => join(DIST, file)),
  left: LEFT,
  from: INSTALLED,
  to: join(DIST, "node_modules"),
});

const httpPackage = join(INSTALLED, "uWebSockets.js");
writeNotices(join(DIST, "node_modules/CARRIED.md"), [...carried, httpPackage], INSTALLED);
await archiveBinaries(httpPackage, join(DIST, "gateway/http/native"));

const { packages }: { readonly packages: LockEntries } = JSON.parse(
  readFileSync(join(ROOT, "package-lock.json"), "utf8"),
);
writeFileSync(
  join(DIST, "backends/embedded", LOCK_FILE),
  `${JSON.stringify(entriesOf(LLAMA_LIBRARY, packages), undefined, 1)}\n`,
);
