/**
 * Takes the pictures of docs/images from a running fleet of stand-ins: `node test/ui/screenshots.ts`. It needs a
 * Chromium and script(1), and takes two minutes. The pictures show the name of this host (`unshare --uts` changes it).
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "../rig/fleet/fleet.ts";
import { openPage, type Visit } from "./browser.ts";
import { layLetter, startBusyFleet, startLoad } from "./busy-fleet.ts";
import { screenPage, watchCommand } from "./terminal.ts";

const IMAGES = join(import.meta.dirname, "../../docs/images");
const ADMIN_KEY = "k-only-for-pictures";

const CALM = { "qwen3:8b": 2, "mistral-small-24b": 1 };
const BUSY = { tiny: 2, "llama3.2:3b": 4, "qwen3:8b": 3, "mistral-small-24b": 2 };

/** Loads that follow each other, so that the curve has a shape; the last one runs while pictures are taken. */
const TIDE = [CALM, BUSY, CALM, BUSY];
const TIDE_MS = 20_000;

async function takePage(visit: Visit, name: string): Promise<void> {
  const { page } = visit;
  await page.getByLabel("Message").fill("Why is the sky blue?");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#chat-state", { hasText: "first token" }).waitFor();
  await page.locator("#chat").screenshot({ path: join(IMAGES, "chat.png") });
  await page.evaluate("scrollTo(0, 0)");
  await page.screenshot({ path: join(IMAGES, name) });
}

/** One worker drains, two dead letters wait. */
async function takeManage(fleet: Fleet, { page }: Visit): Promise<void> {
  await layLetter(fleet, "order-4711");
  await layLetter(fleet, "order-4712");
  await page.goto(fleet.gateway.url);
  await page.getByLabel("Admin key").fill(ADMIN_KEY);
  await page.getByLabel("Admin key").press("Enter");
  await page
    .getByRole("button", { name: /^Drain w/ })
    .last()
    .click();
  await page.getByRole("button", { name: /^Undrain w/ }).waitFor();
  await page.getByRole("region", { name: "Manage" }).screenshot({ path: join(IMAGES, "manage.png") });
}

async function takeTerminal(fleet: Fleet, visit: Visit): Promise<void> {
  const env = { REDIS_URL: fleet.redisUrl };
  const from = performance.now();
  const isEnough = (): boolean => performance.now() - from > 18_000;
  const watching = watchCommand("top", { columns: 110, rows: 44, isEnough, env });
  await delay(9000);
  const more = startLoad(fleet.gateway.url, { "mistral-small-24b": 4 });
  const text = await watching;
  await more.stop();
  await visit.page.goto("about:blank");
  await visit.page.setContent(screenPage(text));
  await visit.page.locator("pre").screenshot({ path: join(IMAGES, "top.png") });
}

async function takeAll(fleet: Fleet): Promise<void> {
  const { url } = fleet.gateway;
  for (const load of TIDE.slice(0, -1)) {
    const running = startLoad(url, load);
    await delay(TIDE_MS);
    await running.stop();
  }
  const last = startLoad(url, { ...TIDE.at(-1), "not-there": 1 });
  try {
    for (const colorScheme of ["light", "dark"] as const) {
      const visit = await openPage({ colorScheme, viewport: { width: 1000, height: 1090 } });
      try {
        await visit.page.goto(url);
        await visit.page.locator("#requests .pill", { hasText: "answering" }).first().waitFor();
        await delay(4000);
        await takePage(visit, `page-${colorScheme}.png`);
        if (colorScheme === "light") continue;
        await takeTerminal(fleet, visit);
        await takeManage(fleet, visit);
      } finally {
        await visit.close();
      }
    }
  } finally {
    await last.stop();
  }
}

const fleet = await startBusyFleet({ SGNET_ADMIN_KEY: ADMIN_KEY });
try {
  await takeAll(fleet);
} finally {
  await fleet.stop();
}
