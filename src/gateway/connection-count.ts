import { readFileSync } from "node:fs";
import { Fault } from "../core/fault.ts";
import { sendPathFault } from "./fault-reply.ts";
import type { Guard, Handler } from "./http.ts";
import { isProbe } from "./open-paths.ts";
import type { OnTurnedAway } from "./turned-away.ts";
import type { NativeApp } from "./uws.ts";

/** The share of a process's open files that may be connections of clients: Redis and the log need some, too. */
const SHARE = 0.8;

/** No gateway serves more well, whatever the system lets it open. */
const MOST = 50_000;

/** Where the system does not tell how many files a process may open: what Linux and macOS give without being asked. */
const USUAL_FILES = 1024;

/** Seconds after which a client that was turned away may come again. */
const RETRY_AFTER = 5;

/** So far above the bound a connection is not even answered: answering needs memory, too. */
const UNANSWERED_ABOVE = 1.25;

/**
 * Files that no connection of a client gets, or a quarter of all where these are few: without one to accept with, the
 * native code asks for the next connection again and again, and nothing else is done.
 */
const KEPT_FILES = 100;
const KEPT_SHARE = 0.25;

/** Connections that a gateway serves where no setting tells. @param files that the process may have open */
export function automaticConnections(files: number): number {
  return Math.min(MOST, Math.floor(files * SHARE));
}

/** How many files this process may have open. */
export function openFiles(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
  } catch {
    return USUAL_FILES;
  }
}

/** Counts the connections of clients, and knows when they are too many. */
export class ConnectionCount {
  readonly #limit: number;
  /** More are closed at once. */
  readonly #most: number;
  readonly #onCut: () => void;
  #open = 0;

  /**
   * @param onCut called for each connection that is closed at once
   * @param files that the process may have open
   */
  constructor(limit: number, onCut: () => void = () => {}, files: number = Infinity) {
    this.#limit = limit;
    const kept = Math.min(KEPT_FILES, files * KEPT_SHARE);
    this.#most = Math.min(limit * UNANSWERED_ABOVE, files - kept);
    this.#onCut = onCut;
  }

  get open(): number {
    return this.#open;
  }

  get isFull(): boolean {
    return this.#open > this.#limit;
  }

  /** Counts those of this server from now on; those far beyond the bound are closed at once. */
  watch(app: NativeApp): void {
    app.filter((res, change) => {
      this.#open += Number(change);
      if (Number(change) < 0 || this.#open <= this.#most) return;
      this.#onCut();
      res.close();
    });
  }
}

const refuse: Handler = (request, reply) => {
  const message = "server busy, please try again.  maximum connections exceeded";
  sendPathFault(request, reply, new Fault("too_many_connections", message, { retryAfter: RETRY_AFTER }));
};

/** Refuses requests on connections too many; probes and scrapers are answered: a full gateway is not a dead one. */
export function refuseTooMany(onRefused: OnTurnedAway): Guard {
  return (request) => {
    if (isProbe(request.path)) return undefined;
    onRefused("too_many_connections", request);
    return refuse;
  };
}
