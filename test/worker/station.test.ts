import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { idleStation } from "./station-rig.ts";

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
