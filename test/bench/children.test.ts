import assert from "node:assert/strict";
import test from "node:test";
import { Child, Children } from "../../bench/children.ts";

function node(script: string): ConstructorParameters<typeof Child>[0] {
  return { role: "sample", command: process.execPath, args: ["-e", script], cwd: "." };
}

test("a child's port is read, and stopping ends it, even one that will not listen", async () => {
  const children = new Children();
  const polite = children.start(node('console.log("ready 42"); setInterval(() => {}, 1000)'));
  const deaf = children.start(
    node('process.on("SIGTERM", () => {}); console.log("ready 43"); setInterval(() => {}, 1000)'),
  );
  assert.equal(await polite.readyPort(), 42);
  assert.equal(await deaf.readyPort(), 43);
  await children.stopAll();
  for (const { pid, ended } of [polite, deaf]) {
    assert.equal(ended, true);
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  }
  assert.throws(() => children.start(node("")), /the run is over/);
});

test("a child that ends before it is ready, fails, or does not exist is told by its role and its complaint", async () => {
  await assert.rejects(
    new Child(node('console.error("no luck"); process.exit(3)')).readyPort(),
    /sample .*no luck/s,
  );
  await assert.rejects(new Child(node("process.exit(3)")).output(), /sample failed/);
  const absent = new Child({ ...node(""), command: "/nonexistent/program" });
  await assert.rejects(absent.readyPort(), /sample ended before it was ready/);
  assert.equal(await new Child(node('console.log("fine")')).output(), "fine\n");
});
