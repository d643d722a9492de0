import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readWorkerAnnouncement } from "../../src/core/announcement.ts";
import { placementText } from "../../src/gateway/monitor/placement-text.ts";

const NOTHING = { swaps: 0, places: 1, loading: [], cold: [] };

function read(placement: unknown): unknown {
  return readWorkerAnnouncement({ id: "w", backends: [{ name: "b", placement }] })?.backends[0]?.placement;
}

describe("the words about a backend's memory", () => {
  it("are none where nothing is to be told, or an older worker tells nothing", () => {
    assert.equal(placementText(undefined), "");
    assert.equal(placementText(NOTHING), "");
  });

  it("tell what loads, for which model room is made, who waits until when, and swaps", () => {
    const cold = [
      { model: "c", waitedMs: 5000, dueMs: 0 },
      { model: "d", waitedMs: 1200, dueMs: 2001 },
      { model: "e", waitedMs: 900, dueMs: 3000 },
      { model: "f", waitedMs: 10, dueMs: 3000 },
    ];
    assert.equal(
      placementText({ ...NOTHING, loading: ["b"], swapTo: "c", cold, swaps: 1 }),
      "loading b; makes room for c; c waits for 5 s, due; d waits for 1 s, due in 3 s; e waits for 1 s, due in 3 s; 1 more wait; 1 swap",
    );
  });

  it("do not say twice what is loaded", () => {
    assert.equal(placementText({ ...NOTHING, loading: ["b"], swapTo: "b", swaps: 2 }), "loading b; 2 swaps");
  });
});

describe("the announcement of a placement", () => {
  it("is kept as it is", () => {
    const placement = { ...NOTHING, swaps: 3, swapTo: "c", cold: [{ model: "c", waitedMs: 1, dueMs: 2 }] };
    assert.deepEqual(read(placement), placement);
  });

  it("of any shape becomes a sound one, or none", () => {
    assert.equal(read(undefined), undefined);
    assert.equal(read([]), undefined);
    assert.deepEqual(
      read({ swaps: "x", loading: [1, "a"], swapTo: 5, cold: [1, { model: 2 }, { model: "c" }] }),
      {
        ...NOTHING,
        loading: ["a"],
        cold: [{ model: "c", waitedMs: 0, dueMs: 0 }],
      },
    );
  });
});
