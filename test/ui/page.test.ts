import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Fleet } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { NO_BROWSER, openPage } from "./browser.ts";
import type { Visit } from "./browser.ts";
import { layLetter, startBusyFleet, startLoad } from "./busy-fleet.ts";
import { openStores } from "../../src/redis/stores.ts";

/** The live page in a real browser, with a fleet of real processes behind it. */

const SECRET = "k-only-for-this-test";

/** Run in the page: visible texts whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3). */
const FAINT = `(() => {
  const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const luminance = (colour) => {
    const [red, green, blue] = colour.match(/[\\d.]+/g).map((part) => linear(part / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return backgroundColor === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : backgroundColor;
  };
  const faint = (element) => {
    const [high, low] = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05) < 4.5;
  };
  const speaks = (node) => node.nodeType === 3 && node.textContent.trim() !== "";
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.checkVisibility() && [...element.childNodes].some(speaks) && faint(element))
    .map((element) => element.outerHTML);
})()`;

async function visiting(
  options: { readonly env?: Readonly<Record<string, string>>; readonly dark?: boolean },
  run: (fleet: Fleet, visit: Visit) => Promise<void>,
): Promise<void> {
  const fleet = await startBusyFleet(options.env);
  try {
    const visit = await openPage({ colorScheme: options.dark === true ? "dark" : "light" });
    try {
      await run(fleet, visit);
      const origins = new Set(visit.requested.map((url) => new URL(url).origin));
      assert.deepEqual([...origins], [fleet.gateway.url], "the page asks its gateway only");
    } finally {
      await visit.close();
    }
  } finally {
    await fleet.stop();
  }
}

describe("the live page", { skip: NO_BROWSER, timeout: 600_000 }, () => {
  it("shows the fleet and what happens in it, as it happens", async () => {
    await visiting({}, async (fleet, { page, complaints }) => {
      await page.goto(fleet.gateway.url);
      await page.getByRole("heading", { name: "All is well" }).waitFor();
      for (const model of ["tiny", "mistral-small-24b", "nomic-embed-text"]) {
        await page.locator("#models").getByRole("rowheader", { name: model }).waitFor();
      }
      assert.equal(await page.locator("#nodes tbody tr").count(), 3);
      assert.equal(await page.locator("#requests").getByText("None.").count(), 1);

      const load = startLoad(fleet.gateway.url, { tiny: 6, "no-such-model": 1 });
      try {
        await page.locator("#requests .pill", { hasText: "answering" }).first().waitFor();
        await page.locator("#requests .pill", { hasText: "queued" }).first().waitFor();
        await page.locator("#requests").getByText("≈").first().waitFor();
        await page.locator("#nodes").getByText("4 of 4").waitFor();
        await page.locator("#fault-counts").getByText("model_not_found").waitFor();
        const words = page.locator("#chart-words");
        await until("a rate", async () => !/now 0,/.test((await words.textContent()) ?? ""));
        const ages = async (): Promise<string> => (await page.locator("#requests tbody").textContent()) ?? "";
        const before = await ages();
        await until("another snapshot", async () => (await ages()) !== before);
        assert.doesNotMatch((await page.locator("body").textContent()) ?? "", /a secret prompt/);
        const { behaviour } = fleet.post(0).standIn;
        behaviour.refuse = { status: 500, message: "the runner has terminated" };
        await page.locator("#nodes").getByText("failing: tiny").waitFor();
        behaviour.refuse = undefined;
        await page.locator("#nodes").getByText("failing: tiny").waitFor({ state: "detached" });
      } finally {
        await load.stop();
      }
      await page.locator("#requests").getByText("None.").waitFor();

      const lost = fleet.post(1);
      await lost.standIn.stop();
      await page.getByRole("heading", { name: "Needs a look" }).waitFor();
      await page.locator("#problems").getByText("is down").waitFor();
      assert.deepEqual(await page.evaluate(FAINT), [], "contrast AA");
      assert.deepEqual(complaints, []);
    });
  });

  it("answers in its chat box, by keyboard alone, in the dark", async () => {
    await visiting({ dark: true }, async (fleet, { page, complaints }) => {
      await page.goto(`${fleet.gateway.url}/ui`);
      await page.locator("#chat-model option", { hasText: "tiny" }).waitFor({ state: "attached" });
      const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
      assert.equal(paper, "rgb(20, 20, 26)");
      const reached = await tabUntil(page, "chat-model");
      assert.ok(reached.includes("skip"), "the first stop leads to the content");
      await page.keyboard.type("tiny");
      await page.keyboard.press("Tab");
      await page.keyboard.type("hello");
      await page.keyboard.press("Tab");
      const { behaviour } = fleet.post(0).standIn;
      behaviour.tokenMs = 500;
      await page.keyboard.press("Enter");
      await page.locator("#chat-state", { hasText: "first token" }).waitFor();
      behaviour.tokenMs = 5;
      await page.locator("#chat-state", { hasText: /^120 tokens in/ }).waitFor();
      assert.match((await page.locator("#chat-answer").textContent()) ?? "", /^t0 t1 t2 .* t119 ?$/);
      assert.deepEqual(await page.evaluate(FAINT), [], "contrast AA");
      assert.deepEqual(complaints, []);
    });
  });

  it("stops an answer, and tells when one breaks off", async () => {
    await visiting({}, async (fleet, { page }) => {
      const { standIn } = fleet.post(0);
      await page.goto(`${fleet.gateway.url}/ui`);
      await page.getByLabel("Model", { exact: true }).selectOption("tiny");
      await page.getByLabel("Message").fill("hello");
      standIn.behaviour.tokenMs = 500;
      await page.getByRole("button", { name: "Send" }).click();
      await page.locator("#chat-answer", { hasText: "t3" }).waitFor();
      await page.getByRole("button", { name: "Stop" }).click();
      await standIn.waitFor("aborted");
      await page.getByText("stopped").waitFor();
      Object.assign(standIn.behaviour, { tokenMs: 5, dieAfter: 5 });
      await page.getByRole("button", { name: "Send" }).click();
      await page.locator("#chat-state", { hasText: "That failed" }).waitFor();
    });
  });

  it("asks for a key where one is needed, and shows nothing before", async () => {
    await visiting({ env: { SGNET_API_KEY: SECRET } }, async (fleet, { page }) => {
      await page.goto(fleet.gateway.url);
      await page.getByRole("heading", { name: "An API key is needed" }).waitFor();
      assert.equal(await page.locator("#models tbody tr").count(), 0);
      const key = page.getByLabel("This gateway needs an API key");
      await key.fill("wrong");
      await key.press("Enter");
      await page.getByRole("alert").filter({ hasText: "not one of them" }).waitFor();
      await key.fill(SECRET);
      await key.press("Enter");
      await page.getByRole("heading", { name: "All is well" }).waitFor();
      assert.equal(
        await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length"),
        0,
      );
    });
  });
});

/** Drains the only worker of a model, while it runs two requests. */
async function drainWhileItWorks(fleet: Fleet, page: Visit["page"]): Promise<void> {
  const totals = page.locator("#totals");
  // Its requests last until the page has shown all.
  fleet.post(1).standIn.behaviour.tokenMs = 2000;
  const load = startLoad(fleet.gateway.url, { "mistral-small-24b": 2 });
  try {
    await totals.filter({ hasText: /Slots busy[12] \/ 14Waiting/ }).waitFor();
    const workers = await openStores(fleet.probe, fleet.keys).registry.listWorkers();
    const leaving = workers.find(({ backends }) => backends.some(({ kind }) => kind === "openai"));
    await page.getByRole("button", { name: `Drain ${leaving?.id}` }).click();
    await page.locator("#nodes .pill", { hasText: "draining" }).waitFor();
    await totals.filter({ hasText: /Slots busy0 \/ 6Finishing[12]Waiting/ }).waitFor();
  } finally {
    await load.stop();
  }
}

describe("the live page with an admin key", { skip: NO_BROWSER, timeout: 600_000 }, () => {
  it("drains workers and runs dead letters again, and does neither with a wrong key", async () => {
    await visiting({ env: { SGNET_ADMIN_KEY: SECRET } }, async (fleet, { page }) => {
      await layLetter(fleet, "answers");
      await layLetter(fleet, "useless");
      await page.goto(fleet.gateway.url);
      const key = page.getByLabel("Admin key");
      await key.fill("wrong");
      await key.press("Enter");
      await page.getByText("this needs an admin key").waitFor();
      assert.equal(await page.locator("#manage-actions").isVisible(), false);
      await key.fill(SECRET);
      await key.press("Enter");
      await page.locator("#letters").getByText("answers").waitFor();
      await page.getByText("2 dead letters of tiny").waitFor();

      await page.getByRole("button", { name: "Retry answers" }).click();
      await page.locator("#manage-note", { hasText: /^answers was answered in \d+ ms/ }).waitFor();
      await page.getByRole("button", { name: "Drop useless" }).click();
      await page.locator("#letters").getByText("None.").waitFor();
      assert.equal(await fleet.probe.command("XLEN", fleet.keys.dead("tiny")), 0);
      await layLetter(fleet, "later");
      await page.locator("#letters").getByText("later").waitFor();
      await page.getByRole("button", { name: "Drop later" }).click();
      await page.locator("#letters").getByText("None.").waitFor();
      assert.doesNotMatch((await page.locator("body").textContent()) ?? "", /a secret prompt/);

      await drainWhileItWorks(fleet, page);
      await page.getByRole("button", { name: /^Undrain w/ }).click();
      await page.getByRole("heading", { name: "All is well" }).waitFor();
      assert.deepEqual(await page.evaluate(FAINT), [], "contrast AA");
      assert.equal(
        await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length"),
        0,
      );
    });
  });
});

describe("keys on the live page", { skip: NO_BROWSER, timeout: 600_000 }, () => {
  it("are created, changed, rotated and revoked; a secret is shown once, and each action is listed", async () => {
    await visiting({ env: { SGNET_ADMIN_KEY: SECRET } }, async (fleet, { page }) => {
      await page.goto(fleet.gateway.url);
      await page.getByLabel("Admin key").fill(SECRET);
      await page.getByLabel("Admin key").press("Enter");
      await page.locator("#keys").getByText("None").waitFor();
      await page.locator("#key-fields-name").fill("alice");
      await page.locator("#key-fields-rpm").fill("60");
      await page.locator("#key-fields-submit").click();
      await page.locator("#secret", { hasText: /^sg-[\w-]{49}$/ }).waitFor();
      await page.locator("#keys").getByText("rpm 60").waitFor();
      await page.getByRole("button", { name: "I have kept it" }).click();
      assert.doesNotMatch((await page.locator("body").textContent()) ?? "", /sg-[\w-]{49}/);

      await page.getByRole("button", { name: "Change alice" }).click();
      await page.locator("#key-fields-rpm").fill("");
      await page.locator("#key-fields-maxOpen").fill("3");
      await page.locator("#key-fields-submit", { hasText: "Save alice" }).click();
      await page.locator("#keys").getByText("maxOpen 3").waitFor();
      await page.getByRole("button", { name: "Rotate alice" }).click();
      await page.locator("#secret", { hasText: /^sg-[\w-]{49}$/ }).waitFor();
      await page.getByRole("button", { name: "I have kept it" }).click();

      await page.locator("#tenant-fields-name").fill("lab");
      await page.locator("#tenant-fields-weight").fill("2");
      await page.locator("#tenant-fields-submit").click();
      await page.locator("#tenants").getByText("lab").waitFor();

      await page.getByRole("button", { name: "Revoke alice" }).click();
      await page.getByRole("button", { name: "Revoke alice for good" }).click();
      await page.locator("#keys .pill", { hasText: "revoked" }).waitFor();
      for (const action of ["keys.create", "keys.set", "keys.rotate", "keys.revoke", "tenants.create"]) {
        await page.locator("#audit").getByText(action).waitFor();
      }
      assert.deepEqual(await page.evaluate(FAINT), [], "contrast AA");
      assert.equal(
        await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length"),
        0,
      );
    });
  });
});

/** Presses Tab until an element has the focus. Gives the ids or classes of all it went through. */
async function tabUntil(page: Visit["page"], id: string): Promise<string[]> {
  const reached: string[] = [];
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab");
    const focused = String(
      await page.evaluate("document.activeElement.id || document.activeElement.className"),
    );
    reached.push(focused);
    if (focused === id) return reached;
  }
  throw new Error(`the keyboard does not reach ${id}, only ${reached.join(", ")}`);
}
