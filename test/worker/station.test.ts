import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import type { ModelCard } from "../../src/core/model.ts";
import { Station } from "../../src/worker/station.ts";
import { idleStation, TINY_CARD } from "./station-rig.ts";

describe("the slots of a station", () => {
  it("are lent as long as some are free, and count as busy until they are given back", () => {
    const station = idleStation(2);
    const { lender } = station.backend;
    assert.equal(lender, station);
    station.occupy("tiny");
    assert.equal(lender?.borrow(), true);
    assert.deepEqual([station.busy, station.free, lender.borrow()], [2, 0, false]);
    lender.giveBack();
    assert.deepEqual([station.busy, station.free], [1, 1]);
  });

  it("are not lent while one is kept for a task that was taken over", () => {
    const station = idleStation(1);
    station.reserve("tiny", true);
    assert.equal(station.borrow(), false);
    station.reserve("tiny", false);
    assert.equal(station.borrow(), true);
  });

  it("are not lent while a busy backend bounds what it takes", () => {
    const station = idleStation(4);
    const { gate, era } = station.occupy("tiny");
    gate.busy(era, 0);
    assert.equal(station.borrow(), false);
  });

  it("that were lent since a task was claimed are not there for it", () => {
    const station = idleStation(2);
    station.occupy("tiny");
    station.borrow();
    assert.equal(station.admits("tiny"), false);
    station.giveBack();
    assert.equal(station.admits("tiny"), true);
  });

  it("that tasks have which are being taken over are no others', and wake who waits when they are released", async () => {
    const station = idleStation(3);
    station.borrow();
    const one = station.occupy("tiny");
    station.occupy("tiny");
    assert.deepEqual([station.free, station.borrow(), station.admits("tiny")], [0, false, false]);
    const changed = station.changed();
    station.release(one);
    await changed;
    assert.deepEqual([station.free, station.admits("tiny")], [1, true]);
  });

  it("given back wake who waits for one", async () => {
    const station = idleStation(1);
    assert.ok(station.borrow());
    const changed = station.changed();
    station.giveBack();
    await changed;
  });
});

/** The models of a backend that has room for one of them. */
function cardsWith(loaded: string): readonly ModelCard[] {
  return [
    { ...TINY_CARD, resident: loaded === "tiny" },
    { ...TINY_CARD, key: "big", name: "big", resident: loaded === "big" },
  ];
}

test("a task that outlives the kind of its backend does not keep its model loaded for ever", () => {
  const server = {
    name: "one",
    kind: "unknown" as const,
    url: "",
    loadsOnDemand: true,
    inspect: () => Promise.resolve({ models: cardsWith("tiny"), slots: 2 }),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const placement = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 1, mono: () => 1 };
  const station = new Station(server, 2, { placement });
  station.update({ models: cardsWith("tiny"), slots: 2 }, 1);
  const visit = station.occupy("tiny");
  assert.equal(station.placement?.isLoaded("tiny"), true);
  server.loadsOnDemand = false;
  station.release(visit);
  server.loadsOnDemand = true;
  station.update({ models: cardsWith("big"), slots: 2 }, 2);
  assert.equal(station.placement.isLoaded("tiny"), false);
});
