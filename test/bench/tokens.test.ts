import assert from "node:assert/strict";
import test from "node:test";
import { array, assert as check, integer, property } from "fast-check";
import { TokenScanner, answerText, tokenText } from "../../bench/tokens.ts";

const END = '"done":true';

/** Feeds a text cut into pieces of the given sizes, the rest in one. */
function scan(text: string, expected: number, sizes: readonly number[] = []): TokenScanner {
  const scanner = new TokenScanner(expected, END);
  const bytes = Buffer.from(text);
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    const end = Math.min(bytes.length, at + size);
    scanner.feed(bytes, at, end);
    at = end;
  }
  return scanner;
}

test("a reply in order and with its end is whole, wherever it is cut", () => {
  check(
    property(integer({ min: 1, max: 300 }), array(integer({ min: 0, max: 40 })), (count, sizes) => {
      const scanner = scan(`{"x":"${answerText(count)}"}{${END}}\n`, count, sizes);
      assert.equal(scanner.whole, true);
      assert.equal(scanner.seen, count);
    }),
  );
});

test("a gap, a double, a swap, a token too many and a token after the end are all noticed", () => {
  const [a, b, c] = [tokenText(0), tokenText(1), tokenText(2)];
  for (const text of [a + c, a + b + b, b + a + c, a + b + c + tokenText(3), `${a}${b}${c}${END}${c}`]) {
    assert.equal(scan(text, 3).broken, true, text);
  }
});

test("a reply without its last token or without its end is not whole, nor is one whose end comes too early", () => {
  assert.equal(scan(answerText(2) + END, 3).whole, false);
  assert.equal(scan(answerText(3), 3).whole, false);
  assert.equal(scan(`${answerText(2)}${END}${tokenText(2)}`, 3).whole, false);
});

test("a scanner that was reset knows nothing of the reply before", () => {
  const scanner = scan("~5 ~", 3);
  scanner.reset();
  const bytes = Buffer.from(answerText(3) + END);
  scanner.feed(bytes, 0, bytes.length);
  assert.equal(scanner.whole, true);
});
