/** Packs what `npm run build` made, for people who install the product elsewhere: `node packaging/pack.ts [FOLDER]`. */
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/** Members of package.json that are about the checkout: the package carries what it runs on, and has nothing to build. */
const OF_THE_CHECKOUT = new Set([
  "private",
  "scripts",
  "dependencies",
  "optionalDependencies",
  "devDependencies",
  "overrides",
  "allowScripts",
]);

const [folder = "."] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "sgnet-pack-"));
try {
  const stage = join(work, "package");
  npmPack(ROOT, work);
  execFileSync("tar", ["-xzf", tarballIn(work), "-C", work]);
  const path = join(stage, "package.json");
  const manifest = Object.entries<unknown>(JSON.parse(readFileSync(path, "utf8")));
  const kept = Object.fromEntries(manifest.filter(([name]) => !OF_THE_CHECKOUT.has(name)));
  writeFileSync(path, `${JSON.stringify(kept, undefined, 2)}\n`);
  npmPack(stage, resolve(folder));
} finally {
  rmSync(work, { recursive: true, force: true });
}

function npmPack(of: string, to: string): void {
  const args = ["pack", "--pack-destination", to, "--silent"];
  execFileSync("npm", args, { cwd: of, stdio: ["ignore", of === ROOT ? "ignore" : "inherit", "inherit"] });
}

function tarballIn(of: string): string {
  const [name = ""] = globSync("*.tgz", { cwd: of });
  return join(of, name);
}
