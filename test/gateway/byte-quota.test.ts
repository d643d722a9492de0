import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteQuota } from "../../src/gateway/http/byte-quota.ts";

/** A quota with a clock of its own. */
function quota(limit: number): { it: ByteQuota; pass: (ms: number) => void } {
  let now = 0;
  return { it: new ByteQuota(limit, () => now), pass: (ms) => void (now += ms) };
}

describe("a byte quota", () => {
  it("is full at its limit, and has room again when something is given back", () => {
    const { it: bytes } = quota(100);
    bytes.take(60);
    assert.ok(bytes.fits(40));
    assert.ok(!bytes.fits(41));
    bytes.give(60);
    assert.equal(bytes.used, 0);
    assert.ok(bytes.fits(41));
  });

  it("takes one alone that is larger than all of it", () => {
    const { it: bytes } = quota(100);
    assert.ok(bytes.fits(1000));
    bytes.take(1000);
    assert.ok(!bytes.fits(1));
  });

  it("tells a wait by the rate at which things ended since half of it was in use", () => {
    const { it: tasks, pass } = quota(10);
    for (let n = 0; n < 10; n += 1) tasks.take(1);
    for (let n = 0; n < 5; n += 1) {
      pass(4000);
      tasks.give(1);
      tasks.take(1);
    }
    assert.equal(tasks.waitFor(1), 4);
  });

  it("tells each of those that are refused a later time, and forgets them when theirs has passed", () => {
    const { it: tasks, pass } = quota(2);
    tasks.take(1);
    tasks.take(1);
    pass(3000);
    tasks.give(1);
    tasks.take(1);
    assert.deepEqual([tasks.waitFor(1), tasks.waitFor(1), tasks.waitFor(1)], [3, 6, 9]);
    pass(9000);
    tasks.give(2);
    assert.equal(tasks.waitFor(1), 4);
  });

  it("has nothing better to tell than the time that has passed when nothing has ended yet", () => {
    const { it: tasks, pass } = quota(1);
    tasks.take(1);
    assert.equal(tasks.waitFor(1), 1);
    pass(20_000);
    assert.equal(tasks.waitFor(1), 20);
  });

  it("never tells more than five minutes, nor less than a second", () => {
    const { it: tasks, pass } = quota(1);
    tasks.take(1);
    pass(3_600_000);
    for (let n = 0; n < 10; n += 1) assert.ok(tasks.waitFor(1) <= 300);
    const { it: quick, pass: passQuick } = quota(1);
    quick.take(1);
    passQuick(1);
    quick.give(1);
    quick.take(1);
    assert.equal(quick.waitFor(1), 1);
  });

  it("judges by the last minute after an hour of another pace", () => {
    const { it: tasks, pass } = quota(2);
    tasks.take(2);
    pass(3_600_000);
    assert.equal(tasks.waitFor(1), 60);
    for (let n = 0; n < 600; n += 1) {
      pass(1000);
      tasks.give(1);
      tasks.take(1);
      if (n % 60 === 0) tasks.waitFor(1);
    }
    pass(60_000);
    for (let n = 0; n < 60; n += 1) {
      tasks.give(1);
      tasks.take(1);
    }
    assert.ok(tasks.waitFor(1) <= 2);
  });
});
