import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { assert as check, property, string } from "fast-check";
import { BytePrinter } from "../../src/commands/print.ts";
import { renderLetter, renderLetters } from "../../src/commands/dead-view.ts";
import { renderFleet } from "../../src/commands/status.ts";
import { renderEnded } from "../../src/commands/timeline.ts";
import { Screen } from "../../src/commands/screen.ts";
import { renderTable } from "../../src/commands/table.ts";
import { escapedLine, escapedText } from "../../src/core/escaped-text.ts";
import { openLog } from "../../src/telemetry/log.ts";

/** Clears the screen, sets the title, by C0 and by C1; turns text around; hides letters; breaks the line. */
const EVIL =
  "a\u001B[2J\u001B]0;owned\u0007b\u009B2J\u007Fc\u202Ed\u2066e\u200Bf\uFEFFg\u2028h\r\ni\u{E0041}j\uD800k\u0000";

/** Titles, heads and a row of each table, and what is between. */
const FLEET_LINES = 16;

const UNFIT = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

function assertFit(text: string): void {
  assert.doesNotMatch(text, UNFIT, JSON.stringify(text));
}

describe("text from outside on a terminal", () => {
  it("steers nothing in any table, timeline or letter", () => {
    const backend = { name: EVIL, kind: EVIL, url: EVIL, slots: 1, busy: 0, healthy: true, models: [] };
    const told = renderFleet(
      {
        gateways: [
          {
            tag: EVIL,
            version: EVIL,
            host: EVIL,
            pid: 1,
            port: 1,
            startedAt: 0,
            seenAt: 0,
            open: 0,
            listen: EVIL,
          },
        ],
        workers: [
          {
            id: EVIL,
            version: "",
            host: EVIL,
            pid: 1,
            startedAt: 0,
            seenAt: 0,
            draining: false,
            backends: [backend],
          },
        ],
        models: [
          { model: EVIL, workers: 1, slots: 1, waiting: 0, claimed: 0, deadLetters: 0, oldestAt: undefined },
        ],
      } as unknown as Parameters<typeof renderFleet>[0],
      0,
    );
    assertFit(told);
    assert.equal(told.split("\n").length, FLEET_LINES);
    const letter = {
      id: EVIL,
      at: 0,
      model: EVIL,
      code: EVIL,
      message: EVIL,
      deliveries: 1,
      worker: EVIL,
      task: EVIL,
      request: EVIL,
      endpoint: EVIL,
    };
    assertFit(renderLetters([letter], { now: 0, left: 0 }));
    assertFit(renderLetter(letter));
    const summary = {
      request: EVIL,
      task: EVIL,
      endpoint: EVIL,
      model: EVIL,
      worker: EVIL,
      code: EVIL,
      status: 200,
      at: 0,
      totalMs: 1,
    };
    assertFit(renderEnded(summary));
  });

  it("steers nothing on the screen of top, whose own escapes remain", () => {
    let drawn = "";
    const output = {
      write: (text: string) => (drawn += text),
      columns: 200,
      rows: 10,
      hasColors: () => false,
      on() {},
      off() {},
    };
    const input = { isTTY: false, on() {}, off() {}, resume() {}, pause() {}, setRawMode() {} };
    const screen = new Screen(
      { output, input } as unknown as ConstructorParameters<typeof Screen>[0],
      () => {},
    );
    drawn = "";
    screen.draw([{ tone: "plain", text: EVIL }]);
    const [line = ""] = drawn.split("\u001B[K");
    assertFit(line.replace("\u001B[H", ""));
  });

  it("steers nothing in a log line of either form, which stays one line and the same document", () => {
    for (const format of ["json", "pretty"] as const) {
      const lines: string[] = [];
      openLog({ level: "info", format, write: (line) => lines.push(line) }).warn(EVIL, {
        model: EVIL,
        backend: "\u202Ex",
      });
      const [line = "", ...more] = lines;
      assert.deepEqual(more, []);
      assertFit(line);
      assert.equal(line.indexOf("\n"), line.length - 1);
      if (format === "json") assert.equal((JSON.parse(line) as { model: string }).model, EVIL);
    }
  });

  it("is told so that nothing is lost: what JSON reads again is the same", () => {
    check(
      property(string({ unit: "binary" }), (text) => {
        assertFit(escapedLine(text));
        assert.equal(JSON.parse(escapedLine(JSON.stringify(text))), text);
        assertFit(escapedText(text).replaceAll("\t", ""));
      }),
    );
    assert.equal(escapedLine("Grüße, 世界 🚀"), "Grüße, 世界 🚀");
    assert.equal(renderTable("t", ["n"], [["\u001B[1m"]]), "t\n  n\n  \\u001b[1m\n");
  });

  it("goes into a file as it is, and to a terminal as plain text, letters cut in two included", () => {
    const bytes = Buffer.from(`é${EVIL.replace("\uD800", "")}`);
    for (const isTTY of [true, false]) {
      const written: Buffer[] = [];
      const printer = new BytePrinter({ isTTY, write: (part) => written.push(Buffer.from(part)) });
      printer.print(bytes.subarray(0, 1));
      printer.print(bytes.subarray(1));
      const all = Buffer.concat(written);
      if (isTTY) assertFit(all.toString());
      else assert.deepEqual(all, bytes);
      assert.ok(all.toString().startsWith("éa"));
    }
  });

  it("has one way out of all commands", () => {
    const folder = join(import.meta.dirname, "../../src/commands");
    const offenders = readdirSync(folder)
      .filter((file) => !["print.ts", "screen.ts", "top.ts"].includes(file))
      .filter((file) =>
        /process\.std(?:out|err)\.write|console\./.test(readFileSync(join(folder, file), "utf8")),
      );
    assert.deepEqual(offenders, []);
  });
});
