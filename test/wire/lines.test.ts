import assert from "node:assert/strict";
import test, { describe } from "node:test";
import * as fc from "fast-check";
import { LineSplitter, LineAligner } from "../../src/wire/lines.ts";
import { splitAt } from "../rig/split.ts";

const piece = fc.constantFrom("a", "ä€😀", "\n", "\r", "\r\n", '{"x":1}', "");
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));
const cuts = fc.array(fc.nat({ max: 200 }), { maxLength: 12 });

function linesOf(chunks: readonly Buffer[]): { lines: string[]; rest: string } {
  const splitter = new LineSplitter();
  const lines = chunks.flatMap((chunk) => splitter.push(chunk)).map(String);
  return { lines, rest: String(splitter.rest()) };
}

function tooLong(run: () => unknown): void {
  assert.throws(run, { code: "backend_lost" });
}

describe("LineSplitter", () => {
  test("gives the same lines for any split", () => {
    fc.assert(
      fc.property(text, cuts, (whole, at) => {
        const parts = whole.split("\n");
        const rest = parts.pop();
        const lines = parts.map((line) => line.replace(/\r$/, ""));
        assert.deepEqual(linesOf(splitAt(Buffer.from(whole), at)), { lines, rest });
      }),
    );
  });

  test("does not copy lines that lie within one chunk", () => {
    const chunk = Buffer.from("one\r\ntwo\n");
    const lines = new LineSplitter().push(chunk);
    assert.deepEqual(lines.map(String), ["one", "two"]);
    assert.ok(lines.every((line) => line.buffer === chunk.buffer));
  });

  test("refuses a line beyond its bound, in one chunk or many", () => {
    assert.deepEqual(new LineSplitter(4).push(Buffer.from("four\nfour\n")).map(String), ["four", "four"]);
    tooLong(() => new LineSplitter(4).push(Buffer.from("fives\n")));
    tooLong(() => new LineSplitter(4).push(Buffer.from("fives")));
    const splitter = new LineSplitter(4);
    assert.deepEqual(splitter.push(Buffer.from("x\nfour")).map(String), ["x"]);
    tooLong(() => splitter.push(Buffer.from("5\n")));
  });
});

describe("WholeLines", () => {
  test("loses nothing and never breaks a line, for any split", () => {
    fc.assert(
      fc.property(text, cuts, (whole, at) => {
        const lines = new LineAligner();
        const out = splitAt(Buffer.from(whole), at).map((chunk) => lines.push(chunk));
        assert.ok(out.every((bytes) => bytes.length === 0 || bytes.at(-1) === 10));
        assert.equal(Buffer.concat(out).toString(), whole.slice(0, whole.lastIndexOf("\n") + 1));
        assert.equal(Buffer.concat([...out, lines.rest()]).toString(), whole);
      }),
    );
  });

  test("forwards a chunk of whole lines as it is", () => {
    const chunk = Buffer.from("a\nb\n");
    assert.equal(new LineAligner().push(chunk), chunk);
  });

  test("holds no more than its bound", () => {
    const lines = new LineAligner(4);
    lines.push(Buffer.from("abc"));
    assert.throws(() => lines.push(Buffer.from("de")), { code: "backend_lost" });
  });
});
