import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { array, assert as check, integer, property, tuple } from "fast-check";
import type { WorkerAnnouncement } from "../../src/core/fleet.ts";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import { ByteCache } from "../../src/gateway/models/byte-cache.ts";
import { ShowCache } from "../../src/gateway/models/show-cache.ts";

const MIB = 1024 * 1024;
const CARD = { ...BLANK_CARD, key: "tiny", name: "tiny" };
const WORKER: WorkerAnnouncement = {
  id: "w",
  version: "",
  host: "h",
  pid: 1,
  startedAt: 0,
  seenAt: 0,
  draining: false,
  backends: [{ name: "b", kind: "ollama", url: "u", slots: 1, busy: 0, healthy: true, models: [CARD] }],
};

/** A view of a server whose answers are of this size; counts the questions that it is asked. */
function viewOf(bytes: number): { view: ShowCache; asked: () => number } {
  let asked = 0;
  const send = (): {
    answer: Promise<{ status: number; contentType: string; body: Buffer }>;
    cancel: () => void;
  } => {
    asked += 1;
    const answer = Promise.resolve({
      status: 200,
      contentType: "application/json",
      body: Buffer.alloc(bytes),
    });
    return { answer, cancel: () => {} };
  };
  const catalogue = { workers: [WORKER], cards: [CARD], find: () => "tiny" };
  const view = new ShowCache({ catalogue, managementRequests: { send }, mono: () => 0 });
  return { view, asked: () => asked };
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

describe("the kept answers of /api/show", () => {
  it("is bounded by bytes: answers of 30 MB are told, and not kept", async () => {
    const { view, asked } = viewOf(30 * MIB);
    const before = process.memoryUsage().arrayBuffers;
    for (let index = 0; index < 8; index += 1) await view.answer("tiny", { system: String(index) });
    collectGarbage();
    assert.equal(view.keptBytes, 0);
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 30 * MIB);
    await view.answer("tiny", { system: "0" });
    assert.equal(asked(), 9);
  });

  it("is what was asked last, and as much of it as fits", async () => {
    const { view, asked } = viewOf(4 * MIB);
    for (let index = 0; index < 20; index += 1) await view.answer("tiny", { system: String(index) });
    assert.ok(view.keptBytes <= 32 * MIB && view.keptBytes > 20 * MIB, `${view.keptBytes}`);
    await view.answer("tiny", { system: "19" });
    assert.equal(asked(), 20);
    await view.answer("tiny", { system: "0" });
    assert.equal(asked(), 21);
  });

  it("does not keep the questions, which may be large too", async () => {
    const { view } = viewOf(10);
    for (let index = 0; index < 10; index += 1)
      await view.answer("tiny", { system: String(index).padEnd(4 * MIB) });
    assert.ok(view.keptBytes < 100_000, `${view.keptBytes}`);
  });

  it("is shared while it is under way", async () => {
    const { view, asked } = viewOf(10);
    await Promise.all([view.answer("tiny", {}), view.answer("tiny", {}), view.answer("TINY:latest", {})]);
    assert.equal(asked(), 1);
  });
});

describe("a cache of bytes", () => {
  it("never holds more than its limit, whatever is put into it", () => {
    const puts = array(tuple(integer({ min: 0, max: 20 }), integer({ min: 0, max: 40_000 })));
    check(
      property(puts, (entries) => {
        const cache = new ByteCache<number>(100_000);
        for (const [key, size] of entries) {
          cache.set(String(key), size, size);
          assert.ok(cache.used <= 100_000 && cache.used >= 0);
          if (size < 20_000) assert.equal(cache.get(String(key)), size);
        }
        for (let key = 0; key <= 20; key += 1) cache.delete(String(key));
        assert.equal(cache.used, 0);
      }),
    );
  });
});
