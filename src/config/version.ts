import { readFileSync } from "node:fs";

/** The version of this program, from its package.json. */
export function productVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { version }: { readonly version: string } = JSON.parse(text);
  return version;
}

/**
 * The commit of a checkout, 12 hex digits; empty for a package, whose version identifies it.
 * @param git the `.git` folder of the checkout
 */
export function productBuild(git: URL = new URL("../../.git/", import.meta.url)): string {
  try {
    const head = readFileSync(new URL("HEAD", git), "utf8").trim();
    const commit = head.startsWith(REFERENCE)
      ? readFileSync(new URL(head.slice(REFERENCE.length), git), "utf8")
      : head;
    return commit.slice(0, 12);
  } catch {
    return "";
  }
}

const REFERENCE = "ref: ";
