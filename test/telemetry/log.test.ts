import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openLog } from "../../src/telemetry/log.ts";
import type { LogOptions } from "../../src/telemetry/log.ts";

function record(options: Omit<LogOptions, "write">) {
  const lines: string[] = [];
  return { lines, log: openLog({ ...options, write: (line) => lines.push(line) }) };
}

describe("the log", () => {
  it("writes one JSON object a line, with the bound fields", () => {
    const { lines, log } = record({ level: "info", format: "json" });
    log.with({ worker: "w1" }).with({ task: "t" }).info("claimed\nit", { slots: 2, model: undefined });
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /^\{.*\}\n$/);
    const { time, ...rest } = JSON.parse(lines[0] ?? "");
    assert.ok(!Number.isNaN(Date.parse(time)));
    assert.deepEqual(rest, { level: "info", message: "claimed\nit", worker: "w1", task: "t", slots: 2 });
  });

  it("does not let a field take the place of time, level or message", () => {
    const { lines, log } = record({ level: "info", format: "json" });
    log.warn("true", { message: "false", level: "debug", time: "never" });
    const line = JSON.parse(lines[0] ?? "");
    assert.equal(line.message, "true");
    assert.equal(line.level, "warn");
    assert.notEqual(line.time, "never");
  });

  it("writes nothing less important than its level", () => {
    const { lines, log } = record({ level: "warn", format: "pretty" });
    log.debug("d");
    log.info("i");
    log.warn("w");
    log.error("e");
    assert.deepEqual(
      lines.map((line) => line.split(/\s+/)[1]),
      ["warn", "error"],
    );
  });

  it("is plain text without colours when it does not write to a terminal", () => {
    const { lines, log } = record({ level: "info", format: "pretty" });
    log.info("ready", { port: 3000, host: "a b", name: undefined, word: "x" });
    assert.match(lines[0] ?? "", /^\d\d:\d\d:\d\d\.\d{3} info {2}ready port=3000 host="a b" word=x\n$/);
  });

  it("neither breaks a pretty line nor passes on terminal commands", () => {
    const { lines, log } = record({ level: "info", format: "pretty" });
    log.info("a\nb\u001B[2J", { text: "c\r\u009Bd" });
    assert.doesNotMatch((lines[0] ?? "").slice(0, -1), /\p{Cc}/u);
  });

  it("is JSON by itself when it does not write to a terminal", () => {
    const { lines, log } = record({ level: "info", format: "auto" });
    log.info("x");
    assert.equal(JSON.parse(lines[0] ?? "").message, "x");
  });
});
