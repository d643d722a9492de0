import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";

/** Runs the test files of a room in this process, one after the other. Each is a suite with its own hooks. */
export function runTogether(room: string): void {
  const folder = join(import.meta.dirname, "..", room);
  const files = readdirSync(folder).filter((file) => file.endsWith(".test.ts"));
  for (const file of files.toSorted()) {
    describe(`test/${room}/${file}`, async () => {
      await import(join(folder, file));
    });
  }
}
