import { readFileSync } from "node:fs";

/** The version of this product, from its package.json. */
export function productVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { version }: { readonly version: string } = JSON.parse(text);
  return version;
}

/**
 * 12 hex digits: the commit that a checkout is at; empty for a package, whose version says it all.
 * @param git where git keeps what it knows of the checkout
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
