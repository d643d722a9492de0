import type { Log } from "./log.ts";

/** How long a kind of line is counted for, ms. */
const WINDOW_MS = 60_000;

/** Lines of one kind in that time: enough to see what happens, and by whom. */
const MOST_LINES = 60;

/** A window of one kind of line. */
interface Window {
  written: number;
  left: number;
}

/**
 * Writes lines that others can cause at will, by asking for what they do not get: the first of each kind in a minute
 * line by line, the rest as a number. Else clients without a key fill the disk.
 */
export class SparingLog {
  readonly #log: Pick<Log, "warn">;
  /** One per kind; kinds are bounded by the caller. */
  readonly #windows = new Map<string, Window>();

  constructor(log: Pick<Log, "warn">) {
    this.#log = log;
  }

  /** @param kind what is counted together, a fault's code for instance: never a text from outside */
  line(kind: string, write: () => void): void {
    const window = this.#windows.get(kind) ?? this.#open(kind);
    if (window.written >= MOST_LINES) {
      window.left += 1;
      return;
    }
    window.written += 1;
    write();
  }

  #open(kind: string): Window {
    const window = { written: 0, left: 0 };
    this.#windows.set(kind, window);
    setTimeout(() => {
      this.#windows.delete(kind);
      if (window.left === 0) return;
      this.#log.warn("lines were left out of the log: too many of one kind", {
        kind,
        left: window.left,
        written: window.written,
        seconds: WINDOW_MS / 1000,
      });
    }, WINDOW_MS).unref();
    return window;
  }
}
