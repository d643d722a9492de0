import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestEvent } from "node:test/reporters";
import { slowestFirst } from "./slowest.ts";

const PLACE = { line: 1, column: 1, nesting: 0 };
const COUNTS = { cancelled: 0, passed: 1, skipped: 0, suites: 0, tests: 1, todo: 0, topLevel: 1 };

function summary(file: string | undefined, seconds: number): TestEvent {
  const data = { file, duration_ms: seconds * 1000, counts: COUNTS, success: true };
  return { type: "test:summary", data };
}

function diagnostic(message: string, file: { readonly file?: string } = {}): TestEvent {
  return { type: "test:diagnostic", data: { ...PLACE, message, level: "info", ...file } };
}

async function told(events: readonly TestEvent[]): Promise<string[]> {
  const messages: string[] = [];
  const source = (async function* (): AsyncGenerator<TestEvent> {
    yield* events;
  })();
  for await (const event of slowestFirst("/root")(source)) {
    if (event.type === "test:diagnostic") messages.push(event.data.message);
  }
  return messages;
}

test("the slowest ten are told before the counts of the run, the slowest first", async () => {
  const files = Array.from({ length: 12 }, (_, index) => summary(`/root/test/${index}.test.ts`, index));
  const lines = await told([
    diagnostic("of a test", { file: "/root/test/1.test.ts" }),
    ...files,
    diagnostic("tests 12"),
    diagnostic("pass 12"),
    summary(undefined, 66),
  ]);
  assert.equal(lines[0], "of a test");
  assert.equal(lines[1], "slowest 10 of 12 processes, seconds:");
  assert.equal(lines[2], "   11.0  test/11.test.ts");
  assert.equal(lines[11], "    2.0  test/2.test.ts");
  assert.deepEqual(lines.slice(12), ["tests 12", "pass 12"]);
});
