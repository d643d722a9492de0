import { setTimeout as delay } from "node:timers/promises";
import type { Settings } from "../config/settings.ts";
import { toFault } from "../core/fault.ts";
import { viewFleet } from "../core/fleet-view.ts";
import { queuesOf } from "../core/ability.ts";
import { RecentFaults } from "../core/recent-faults.ts";
import { plainLine } from "../core/plain-text.ts";
import type { Connection } from "../redis/connection.ts";
import { readFleet } from "../redis/fleet-status.ts";
import { Keys } from "../redis/keys.ts";
import { heldTasks } from "../redis/open-task.ts";
import { LogReader } from "../redis/task-log.ts";
import { printJson } from "./print.ts";
import { withConnection } from "./redis-url.ts";
import { Screen } from "./screen.ts";
import type { Terminal } from "./screen.ts";
import { listenForStop } from "./stop-request.ts";
import { describe } from "./top-view.ts";
import type { Picture, ToneLine } from "./top-view.ts";

const REFRESH_MS = 1000;

const HELD_PER_MODEL = 50;

/** Looks back for the sparkline. */
const MOST_LOOKS = 60;

/**
 * Shows the fleet, on a terminal once a second until q is pressed, elsewhere once and as plain text, or as JSON. Resolves
 * with the exit code.
 */
export async function runTop(given: Settings, json: boolean): Promise<number> {
  return withConnection(given, "top", async (connection) => {
    const observer = new Observer(connection, given);
    const { stdin: input, stdout: output } = process;
    if (json) printJson(await observer.look());
    else if (output.isTTY) await showUntilQuit(observer, { input, output });
    else output.write(plain(describe(await observer.look())));
    return 0;
  });
}

/** Draws again and again. Rejects with what the first look rejects with. */
export async function showUntilQuit(observer: Observer, terminal: Terminal): Promise<void> {
  const first = await observer.look();
  const stop = listenForStop();
  const quit = new AbortController();
  const leave = (): void => {
    quit.abort();
  };
  void stop.requested.then(leave);
  const screen = new Screen(terminal, leave);
  try {
    let lines = describe(first);
    for (;;) {
      screen.draw(lines, "q quits");
      await delay(REFRESH_MS, undefined, { signal: quit.signal }).catch(() => undefined);
      if (quit.signal.aborted) return;
      lines = await lookAgain(observer, lines);
    }
  } finally {
    screen.close();
    stop.release();
  }
}

/** While Redis is away the last picture stands. */
async function lookAgain(observer: Observer, before: readonly ToneLine[]): Promise<ToneLine[]> {
  try {
    return describe(await observer.look());
  } catch (error) {
    const why: ToneLine = { tone: "bad", text: toFault(error).message };
    return [why, ...before.filter(({ text }) => text !== why.text)];
  }
}

function plain(lines: readonly ToneLine[]): string {
  return lines.map(({ text }) => `${plainLine(text)}\n`).join("");
}

/** Makes pictures of the fleet. */
export class Observer {
  readonly #connection: Connection;
  readonly #settings: Settings;
  readonly #keys: Keys;
  readonly #log: LogReader;
  readonly #faults: RecentFaults = new RecentFaults();
  #rates: readonly number[] = [];

  constructor(connection: Connection, settings: Settings) {
    this.#connection = connection;
    this.#settings = settings;
    this.#keys = new Keys(settings.prefix);
    this.#log = new LogReader(connection, this.#keys);
  }

  /** Rejects with `redis_down`. */
  async look(): Promise<Picture> {
    const now = Date.now();
    const [status, news] = await Promise.all([
      readFleet(this.#connection, this.#keys, now - this.#settings.modelMemoryMs),
      this.#log.read(),
    ]);
    this.#faults.add(news);
    const queues = status.models
      .filter(({ claimed }) => claimed > 0)
      .flatMap(({ model, abilities: endpoints = [] }) => queuesOf({ key: model, endpoints }));
    const held = await heldTasks(this.#connection, this.#keys, queues, HELD_PER_MODEL);
    const fleet = viewFleet({ ...status, now });
    this.#rates = [...this.#rates, fleet.totals.tokensPerSecond].slice(-MOST_LOOKS);
    return { fleet, faults: this.#faults.view(now), held, rates: this.#rates, now };
  }
}
