import { readdirSync } from "node:fs";
import { join } from "node:path";
import { PURE_ROOMS } from "./rooms.ts";

// Runs the tests of the pure rooms in one process.
for (const room of PURE_ROOMS) {
  const folder = join(import.meta.dirname, "..", room);
  const files = readdirSync(folder).filter((file) => file.endsWith(".test.ts"));
  for (const file of files.toSorted()) await import(join(folder, file));
}
