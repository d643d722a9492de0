import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "../rig/until.ts";
import { openPage, snapshots } from "./fake-page.ts";

const SECRET = "an admin key";

describe("the live page of a gateway that needs a key", () => {
  it("opens with the key that an admin enters to manage the fleet", async () => {
    const page = await openPage((path, init) => {
      if (new Headers(init?.headers).get("authorization") !== `Bearer ${SECRET}`) {
        return Promise.resolve(
          Response.json({ error: { message: "missing or wrong API key" } }, { status: 401 }),
        );
      }
      const isFeed = path === "/ui/events";
      return Promise.resolve(isFeed ? new Response(snapshots()) : Response.json({ letters: [], keys: [] }));
    });
    const link = page.getElementById("link");
    await until("the refusal", () => link.textContent === "needs a key");
    page.getElementById("manage-key").value = SECRET;
    page.getElementById("manage-form").submit();
    await until("the fleet", () => link.textContent === "live");
    assert.equal(page.getElementById("key-form").hidden, true);
  });
});
