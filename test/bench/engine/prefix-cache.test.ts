import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PrefixCache, tokensOf } from "../../../bench/engine/prefix-cache.ts";

/** A block of four tokens of four characters. */
const BLOCK = 4;
const block = (letter: string): string => letter.repeat(BLOCK * 4);

describe("the prefix cache", () => {
  it("knows the blocks that two prompts begin with, and no others", () => {
    const cache = new PrefixCache(BLOCK, 100);
    assert.equal(cache.enter(block("a") + block("b") + block("c")), 0);
    assert.equal(cache.enter(block("a") + block("b") + block("d")), 2 * BLOCK);
    assert.equal(cache.enter(block("x") + block("b") + block("c")), 0, "the same text elsewhere");
    assert.equal(cache.enter(block("a") + block("b") + block("c")), 3 * BLOCK);
  });

  it("counts whole blocks only", () => {
    const cache = new PrefixCache(BLOCK, 100);
    cache.enter(`${block("a")}rest`);
    assert.equal(cache.enter(`${block("a")}rest`), BLOCK);
    assert.equal(tokensOf(`${block("a")}rest!`), BLOCK + 2);
    assert.equal(tokensOf(""), 1);
  });

  it("forgets the least recently used, and of a prompt its end first", () => {
    const cache = new PrefixCache(BLOCK, 3);
    cache.enter(block("a") + block("b"));
    cache.enter(block("c"));
    cache.enter(block("d"));
    assert.equal(cache.enter(block("a") + block("b")), BLOCK);
    const small = new PrefixCache(BLOCK, 2);
    small.enter(block("a"));
    small.enter(block("b"));
    small.enter(block("a"));
    small.enter(block("c"));
    assert.deepEqual([small.enter(block("a")), small.enter(block("b"))], [BLOCK, 0]);
  });
});
