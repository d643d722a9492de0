import assert from "node:assert/strict";
import test from "node:test";
import { turnToRead } from "../../src/backends/request-sender.ts";

function block(ms: number): void {
  const till = performance.now() + ms;
  while (performance.now() < till);
}

test("large replies that end together are read in turns of their own: timers run between them", async () => {
  const story: string[] = [];
  const timer = setInterval(() => story.push("timer"), 1);
  const read = async (name: string): Promise<void> => {
    await turnToRead();
    story.push(name);
    block(20);
  };
  await Promise.all(["a", "b", "c"].map(read));
  clearInterval(timer);
  const order = story.filter((one, index) => one !== "timer" || story[index - 1] !== "timer");
  assert.deepEqual(order.slice(order.indexOf("a")), ["a", "timer", "b", "timer", "c"]);
});
