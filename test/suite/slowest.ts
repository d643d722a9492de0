import { relative } from "node:path";
import type { TestEvent } from "node:test/reporters";

const LISTED = 10;

/**
 * Hands test events on, and tells the slowest files before the counts of the whole run, which stay the last: as
 * diagnostics, so that any reporter prints them.
 */
export function slowestFirst(root: string): (source: AsyncIterable<TestEvent>) => AsyncGenerator<TestEvent> {
  return async function* told(source) {
    const seconds = new Map<string, number>();
    let isTold = false;
    for await (const event of source) {
      if (event.type === "test:summary" && event.data.file !== undefined) {
        seconds.set(relative(root, event.data.file), event.data.duration_ms / 1000);
      }
      if (isCount(event) && !isTold) {
        isTold = true;
        yield* linesAbout(seconds).map((message) => diagnostic(event, message));
      }
      yield event;
    }
  };
}

/** True for a line about the whole run; all others are about a place in a file. */
function isCount(event: TestEvent): event is Extract<TestEvent, { type: "test:diagnostic" }> {
  return event.type === "test:diagnostic" && event.data.nesting === 0 && event.data.file === undefined;
}

function linesAbout(seconds: ReadonlyMap<string, number>): string[] {
  const slowest = [...seconds].toSorted(([, a], [, b]) => b - a).slice(0, LISTED);
  return [
    `slowest ${slowest.length} of ${seconds.size} processes, seconds:`,
    ...slowest.map(([file, took]) => `${took.toFixed(1).padStart(7)}  ${file}`),
  ];
}

function diagnostic(
  { data }: Extract<TestEvent, { type: "test:diagnostic" }>,
  message: string,
): Extract<TestEvent, { type: "test:diagnostic" }> {
  return { type: "test:diagnostic", data: { ...data, message } };
}
