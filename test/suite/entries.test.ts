import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { entriesOf, isShared, testFiles } from "./entries.ts";
import { LONGEST } from "./longest.ts";
import { PURE_ROOMS, SHARED_ROOMS } from "./rooms.ts";

const ROOT = join(import.meta.dirname, "../..");
const FILES = testFiles(ROOT);

test("every file is run once: by itself, or with its room", () => {
  const entries = entriesOf(FILES, []);
  assert.equal(new Set(entries).size, entries.length);
  const together = FILES.filter(isShared);
  const alone = entries.filter((entry) => !entry.startsWith("test/suite/") || entry.endsWith(".test.ts"));
  assert.equal(entries.length, alone.length + 1 + SHARED_ROOMS.length);
  assert.deepEqual([...together, ...alone].toSorted(), FILES);
});

test("each room that shares a process has its entry, and its files lie in one folder", () => {
  for (const room of SHARED_ROOMS) {
    const entry = readFileSync(join(ROOT, `test/suite/${room}-room.ts`), "utf8");
    assert.ok(entry.includes(`runTogether("${room}")`), room);
    const nested = FILES.filter((file) => file.startsWith(`test/${room}/`) && file.split("/").length !== 3);
    assert.deepEqual(nested, []);
  }
});

test("the longest are started first", () => {
  assert.deepEqual(entriesOf(FILES, []).slice(0, LONGEST.length), LONGEST);
});

test("files and folders name what is run", () => {
  const wire = FILES.filter((file) => file.startsWith("test/wire/"));
  assert.deepEqual(entriesOf(FILES, ["test/wire"]), wire);
  assert.deepEqual(entriesOf(FILES, ["./test/wire/"]), wire);
  assert.deepEqual(entriesOf(FILES, ["test/wire/sse.test.ts"]), ["test/wire/sse.test.ts"]);
  assert.deepEqual(entriesOf(FILES, ["test/wir"]), []);
});

test("no file of the pure rooms changes what the others see: hooks of the process, its timers, its environment", () => {
  const shared = /^(?:before|after|beforeEach|afterEach)\(|\bmock\.timers\b|\bprocess\.(?:env|exit|chdir)\b/m;
  const pure = FILES.filter((file) => PURE_ROOMS.some((room) => file.startsWith(`test/${room}/`)));
  assert.deepEqual(
    pure.filter((file) => shared.test(readFileSync(join(ROOT, file), "utf8"))),
    [],
  );
});
