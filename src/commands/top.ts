import { setTimeout as delay } from "node:timers/promises";
import type { Settings } from "../config/settings.ts";
import { toFault } from "../core/fault.ts";
import { viewFleet } from "../gateway/monitor/fleet-view.ts";
import { queuesOf } from "../core/ability.ts";
import { RecentFaults } from "../core/recent-faults.ts";
import { escapedLine } from "../core/escaped-text.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { Keys } from "../redis/keys.ts";
import { openInspection } from "../redis/inspect/inspection.ts";
import type { Inspection } from "../redis/inspect/inspection.ts";
import { UsageStore } from "../redis/access/usage-store.ts";
import { LogReader } from "../redis/inspect/summary-log.ts";
import { claimFacts } from "./claim-facts.ts";
import { printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";
import { Screen } from "./screen.ts";
import type { Terminal } from "./screen.ts";
import { listenForStop } from "./stop-request.ts";
import { renderTop } from "./top-view.ts";
import type { TopReadings, ToneLine } from "./top-view.ts";

const REFRESH_MS = 1000;

const HELD_PER_MODEL = 50;

/** Most rates of the sparkline. */
const MOST_RATES = 60;

/** Most tenants whose tokens of today are read. */
const MOST_TENANTS = 15;

/**
 * Shows the fleet: on a terminal every second until q is pressed, elsewhere once as plain text or JSON. Resolves with
 * the exit code.
 */
export async function runTop(given: Settings, json: boolean): Promise<number> {
  return withConnection(given, "top", async (connection) => {
    const observer = new Observer(connection, given);
    const { stdin: input, stdout: output } = process;
    if (json) printJson(topFacts(await observer.read()));
    else if (output.isTTY) await showUntilQuit(observer, { input, output });
    else output.write(plain(renderTop(await observer.read())));
    return 0;
  });
}

function topFacts({ today, ...readings }: TopReadings): object {
  const facts = { ...readings, held: readings.held.map(claimFacts) };
  return today === undefined ? facts : { ...facts, today: Object.fromEntries(today) };
}

/** Draws the fleet every second. Rejects with the error of the first reading. */
export async function showUntilQuit(observer: Observer, terminal: Terminal): Promise<void> {
  const first = await observer.read();
  const stop = listenForStop();
  const quit = new AbortController();
  const leave = (): void => {
    quit.abort();
  };
  void stop.requested.then(leave);
  const screen = new Screen(terminal, leave);
  try {
    let lines = renderTop(first);
    for (;;) {
      screen.draw(lines, "q quits");
      await delay(REFRESH_MS, undefined, { signal: quit.signal }).catch(() => undefined);
      if (quit.signal.aborted) return;
      lines = await readAgain(observer, lines);
    }
  } finally {
    screen.close();
    stop.release();
  }
}

/** A new reading as lines. While Redis is down, the last lines stay, below the error. */
async function readAgain(observer: Observer, before: readonly ToneLine[]): Promise<ToneLine[]> {
  try {
    return renderTop(await observer.read());
  } catch (error) {
    const why: ToneLine = { tone: "bad", text: toFault(error).message };
    return [why, ...before.filter(({ text }) => text !== why.text)];
  }
}

function plain(lines: readonly ToneLine[]): string {
  return lines.map(({ text }) => `${escapedLine(text)}\n`).join("");
}

/** Reads the state of the fleet. */
export class Observer {
  readonly #inspection: Inspection;
  readonly #usage: UsageStore;
  readonly #settings: Settings;
  readonly #log: LogReader;
  readonly #faults: RecentFaults = new RecentFaults();
  #rates: readonly number[] = [];

  constructor(connection: Connection, settings: Settings) {
    const keys = new Keys(settings.prefix);
    this.#inspection = openInspection(connection, keys);
    this.#usage = new UsageStore(connection, keys);
    this.#settings = settings;
    this.#log = new LogReader(this.#inspection.summaries);
  }

  /** Rejects with `redis_down`. */
  async read(): Promise<TopReadings> {
    const now = Date.now();
    const [status, news] = await Promise.all([
      this.#inspection.fleet.read(now - this.#settings.modelMemoryMs),
      this.#log.read(),
    ]);
    this.#faults.add(news);
    const queues = status.models
      .filter(({ claimed }) => claimed > 0)
      .flatMap(({ model, abilities: endpoints = [] }) => queuesOf({ key: model, endpoints }));
    const { tasks } = this.#inspection;
    const held = await tasks.withNames(await tasks.held(queues, HELD_PER_MODEL));
    const fleet = viewFleet({ ...status, now });
    this.#rates = [...this.#rates, fleet.totals.tokensPerSecond].slice(-MOST_RATES);
    const readings = { fleet, faults: this.#faults.view(now), held, rates: this.#rates, now };
    const { tenants = [] } = fleet;
    return tenants.length === 0 ? readings : { ...readings, today: await this.#usedToday(tenants) };
  }

  /** Tokens of today by tenant, of those that are shown. */
  async #usedToday(tenants: readonly { readonly tenant: string }[]): Promise<ReadonlyMap<string, number>> {
    const now = await this.#usage.now();
    const sums = tenants
      .slice(0, MOST_TENANTS)
      .map(async ({ tenant }) => [tenant, await this.#usage.usedToday(tenant, now)] as const);
    return new Map(await Promise.all(sums));
  }
}
