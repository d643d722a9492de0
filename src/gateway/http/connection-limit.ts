import { readFileSync } from "node:fs";
import { Fault } from "../../core/fault.ts";
import { sendPathFault } from "./fault-reply.ts";
import type { Guard, Handler } from "./http.ts";
import { isProbe } from "./open-paths.ts";
import type { OnRefused } from "./refusal-log.ts";
import type { NativeApp } from "./uws.ts";

/** The share of a process's open files that clients' connections may use: Redis and the log need some, too. */
const SHARE = 0.8;

/** No gateway serves more connections well, even where the system allows them. */
const MOST = 50_000;

/** The usual limit of Linux and macOS, for systems that do not report how many files a process may open. */
const USUAL_FILES = 1024;

/** Time after which a refused client may come again (s). */
const RETRY_AFTER = 5;

/** Above this multiple of the limit a connection is closed without an answer: an answer needs memory, too. */
const UNANSWERED_ABOVE = 1.25;

/**
 * Files that clients' connections never use; a quarter of all where there are few. Without a file to accept with, the
 * native code tries to accept the next connection forever and does nothing else.
 */
const KEPT_FILES = 100;
const KEPT_SHARE = 0.25;

/** Returns the limit of a gateway without that setting. @param files most files that the process may have open */
export function automaticConnections(files: number): number {
  return Math.min(MOST, Math.floor(files * SHARE));
}

/** Returns the number of files that this process may have open. */
export function openFiles(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
  } catch {
    return USUAL_FILES;
  }
}

/** Counts the connections of clients against a limit. */
export class ConnectionLimit {
  readonly #limit: number;
  /** Connections above this number are closed at once. */
  readonly #most: number;
  readonly #onCut: () => void;
  #open = 0;

  /**
   * @param onCut called for each connection that is closed at once
   * @param files most files that the process may have open
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

  /** Counts the connections of this server from now on, and closes those far above the limit at once. */
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

/** Refuses requests on connections above the limit. Probes and scrapers get answers: a full gateway is not dead. */
export function refuseTooMany(onRefused: OnRefused): Guard {
  return (request) => {
    if (isProbe(request.path)) return undefined;
    onRefused("too_many_connections", request);
    return refuse;
  };
}
