/**
 * Takes the pictures of the dashboards for docs/images: `node test/ui/dashboards.ts`. A real Prometheus scrapes a fleet
 * of stand-ins under load. It gets the queries that Grafana would send. The panel components that Grafana publishes on
 * npm draw its answers in a Chromium. No Grafana server runs: the frame around the panels is ours.
 *
 * Takes six minutes. Needs a Chromium, Prometheus, and npm for 460 MB of packages in the folder of temporary files.
 * Pngquant makes the pictures smaller, where it is installed.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findProgram } from "../../src/config/environment.ts";
import { Prometheus } from "../grafana/prometheus.ts";
import { openPage, type Visit } from "./browser.ts";
import { type DashboardJson, fill, type Filled, type Look } from "./grafana/data.ts";
import { type Bundle, bundlePage } from "./grafana/packages.ts";
import type { draw } from "./grafana/page.ts";
import { Story } from "./grafana/story.ts";

const ROOT = join(import.meta.dirname, "../..");
const DASHBOARDS = join(ROOT, "grafana/dashboards");
const WIDTH_PX = 1600;
/** A table that lies outside the window is not painted. */
const HIGHEST_PX = 2400;
const SCRAPE_S = 3;

/** Icons are fetched when their panels are there. */
const ICONS_MS = 2000;

/** No server is here: the routes below answer. */
const ORIGIN = "http://dashboards.test";

/** Draws each dashboard as it was within a time. */
async function drawDashboards(look: Omit<Look, "widthPx">, into: string): Promise<void> {
  const bundle = await bundlePage();
  const visit = await openPage({ viewport: { width: WIDTH_PX, height: HIGHEST_PX }, colorScheme: "dark" });
  try {
    await serve(visit, bundle);
    for (const file of readdirSync(DASHBOARDS)) {
      const json = JSON.parse(readFileSync(join(DASHBOARDS, file), "utf8")) as DashboardJson;
      const filled = await fill(json, { ...look, widthPx: WIDTH_PX });
      const name = file.replace(/^sgnet-(.*)\.json$/, "dashboard-$1.png");
      await take(visit, filled, join(into, name));
    }
  } catch (error) {
    throw new Error(visit.complaints.join("\n"), { cause: error });
  } finally {
    await visit.close();
  }
}

/** The globals of the browser. */
interface Page {
  readonly drawing: { readonly draw: typeof draw };
  readonly document: {
    readonly fonts: { load(font: string): Promise<readonly unknown[]> };
    querySelector(selector: string): object;
  };
}

async function serve({ page }: Visit, { script, style, beside }: Bundle): Promise<void> {
  const html = `<!doctype html><html><head><link rel="stylesheet" href="/page.css"><script src="/page.js"></script></head>
    <body><div id="root"></div></body></html>`;
  const files: Readonly<Record<string, string>> = { "/page.js": script, "/page.css": style };
  await page.route(`${ORIGIN}/**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === "/") return route.fulfill({ contentType: "text/html; charset=utf-8", body: html });
    const path = files[pathname] ?? beside(pathname);
    return route.fulfill(path === undefined ? { status: 404 } : { path });
  });
}

async function take({ page }: Visit, filled: Filled, path: string): Promise<void> {
  await page.goto(`${ORIGIN}/`);
  await page.evaluate(
    async ([dashboard, widthPx]) => {
      const { drawing, document } = globalThis as unknown as Page;
      const { fonts } = document;
      await drawing.draw(dashboard, { root: document.querySelector("#root"), widthPx, fonts });
    },
    [filled, WIDTH_PX] as const,
  );
  const sheet = page.locator("#dashboard");
  await sheet.waitFor({ timeout: 10_000 });
  await delay(ICONS_MS);
  if (filled.panels.some(({ panel }) => panel.type === "table")) {
    await sheet.getByRole("gridcell").first().waitFor();
  }
  await sheet.screenshot({ path });
  const quantizer = findProgram(["pngquant"]);
  if (quantizer !== undefined) spawnSync(quantizer, ["--force", "--skip-if-larger", "--ext=.png", path]);
}

async function takeAll(): Promise<void> {
  const story = await Story.begin();
  try {
    const urls = story.fleet.gateways.map(({ url }) => url);
    const prometheus = await Prometheus.start(urls, SCRAPE_S);
    try {
      const from = Date.now() / 1000;
      await story.tell();
      const look = { prometheus: prometheus.url, from, to: Date.now() / 1000, scrapeS: SCRAPE_S };
      await drawDashboards(look, join(ROOT, "docs/images"));
    } finally {
      await prometheus.stop();
    }
  } finally {
    await story.end();
  }
}

await takeAll();
