import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { findProgram } from "../../src/config/environment.ts";

/** A headless Chromium with a profile of its own, as packages of the system install it. */

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Path of a Chromium; undefined when there is none. */
export const CHROMIUM: string | undefined =
  findProgram(["chromium", "chromium-browser", "google-chrome"]) ?? PLACES.find((path) => existsSync(path));

/** Why tests with a browser are skipped; false where there is one. */
export const NO_BROWSER: string | false =
  CHROMIUM === undefined ? "no Chromium here: install the package chromium to run this test" : false;

/** Keeps the browser from calling home, which a machine without internet would see as errors. */
const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** No measure of speed: a step that takes longer (ms) hangs. */
const LIMIT_MS = 120_000;

export interface Visit {
  readonly page: Page;
  /** Errors and warnings of the console, uncaught errors included. */
  readonly complaints: string[];
  /** URLs of all requests of the page. */
  readonly requested: string[];
  close(): Promise<void>;
}

/** Opens an empty page. */
export async function openPage(options: BrowserContextOptions = {}): Promise<Visit> {
  const profile = await mkdtemp(join(tmpdir(), "sgnet-browser-"));
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    viewport: { width: 1180, height: 900 },
    ...options,
    ...(CHROMIUM === undefined ? {} : { executablePath: CHROMIUM }),
    args: [...FLAGS, ...sandbox],
    timeout: LIMIT_MS,
  });
  context.setDefaultTimeout(LIMIT_MS);
  const page = context.pages()[0] ?? (await context.newPage());
  const complaints: string[] = [];
  const requested: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  context.on("request", (request) => requested.push(request.url()));
  const close = async (): Promise<void> => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  };
  return { page, complaints, requested, close };
}
