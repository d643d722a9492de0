import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

/** The packages that `npm ci` installs, and the hashes that it checks them by. */

interface Entry {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
}

const { packages }: { readonly packages: Readonly<Record<string, Entry>> } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../package-lock.json"), "utf8"),
);
/** The entry without a name is this package itself. */
const entries = Object.entries(packages).filter(([path]) => path !== "");

/** The form of SHA-512 in base64. */
const STRONG = /(?:^|\s)sha512-[A-Za-z0-9+/]{86}==(?:\s|$)/;

function namesOf(wrong: (entry: Entry) => boolean): string[] {
  return entries.filter(([, entry]) => wrong(entry)).map(([path]) => path);
}

describe("the lock file", () => {
  it("has a hash for every package, so that nothing is installed unchecked", () => {
    assert.ok(entries.length > 100);
    assert.deepEqual(
      namesOf(({ integrity = "" }) => !STRONG.test(integrity)),
      [],
    );
  });

  it("names no place that a package comes from, and no folder of a machine", () => {
    assert.deepEqual(
      namesOf(({ resolved, link }) => resolved !== undefined || link === true),
      [],
    );
  });
});
