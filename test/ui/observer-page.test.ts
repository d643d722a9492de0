import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "../rig/until.ts";
import { openPage, snapshots } from "./fake-page.ts";

describe("the live page with the key of an observer", () => {
  it("hides what the key cannot use, and shows the fleet with the names of keys", async () => {
    const asked: unknown[] = [];
    const page = await openPage((path) => {
      asked.push(path);
      return Promise.resolve(new Response(snapshots(), { headers: { "x-sgnet-role": "observer" } }));
    });
    const requests = page.getElementById("requests");
    await until("the requests", () => requests.tBodies[0]?.words.includes("ann (lab)"));
    assert.deepEqual(asked, ["/ui/events"]);
    assert.equal(page.getElementById("chat").hidden, true);
    assert.equal(page.getElementById("manage").hidden, true);
    assert.equal(page.getElementById("models").hidden, false);
    assert.equal(requests.heads.get("th.key")?.hidden, false);
    assert.equal(page.getElementById("faults").heads.get("th.key")?.hidden, true);
    assert.equal(page.getElementById("link").textContent, "live");
  });
});
