import { readdirSync } from "node:fs";
import { join } from "node:path";
import { LONGEST } from "./longest.ts";
import { PURE_ROOMS, SHARED_ROOMS } from "./rooms.ts";

/** The file that one process runs instead of the files of the pure rooms. */
const PURE = "test/suite/pure.ts";

/** All test files, below the root. */
export function testFiles(root: string): string[] {
  return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => `test/${file.replaceAll("\\", "/")}`)
    .toSorted();
}

/**
 * The files to start, in this order, one process each. The longest come first: the last to start is then a short one,
 * and no processor waits for it alone.
 * @param wanted files and folders; all files when empty
 */
export function entriesOf(files: readonly string[], wanted: readonly string[]): string[] {
  if (wanted.length > 0) {
    return longestFirst(files.filter((file) => wanted.some((path) => isBelow(file, path))));
  }
  const rooms = SHARED_ROOMS.map((room) => `test/suite/${room}-room.ts`);
  return longestFirst([PURE, ...rooms, ...files.filter((file) => !isShared(file))]);
}

/** True for a file that runs in one process with others. */
export function isShared(file: string): boolean {
  return [...PURE_ROOMS, ...SHARED_ROOMS].some((room) => isBelow(file, `test/${room}`));
}

function isBelow(file: string, path: string): boolean {
  const plain = path.replace(/^\.\//, "").replace(/\/$/, "");
  return file === plain || file.startsWith(`${plain}/`);
}

/** Returns the longest files first. Files that are not in the list follow in their own order. */
function longestFirst(files: readonly string[]): string[] {
  const known = LONGEST.filter((file) => files.includes(file));
  return [...known, ...files.filter((file) => !known.includes(file))];
}
