import type { Log } from "./log.ts";

/** Length of a window, ms. */
const WINDOW_MS = 60_000;

/** Most lines of one kind per window: enough to see the events and their senders. */
const MOST_LINES = 60;

/** Lines of one kind in the current window. */
interface Window {
  written: number;
  suppressed: number;
}

/**
 * Limits the log lines that outsiders can cause at will, so that clients without a key cannot fill the disk. The first
 * lines of each kind in a window are written, the others are counted.
 */
export class RateLimitedLog {
  readonly #log: Pick<Log, "warn">;
  /** Windows by kind. The caller bounds the kinds. */
  readonly #windows = new Map<string, Window>();

  constructor(log: Pick<Log, "warn">) {
    this.#log = log;
  }

  /** @param kind group of lines that are counted together, such as a fault code; never text from outside */
  line(kind: string, write: () => void): void {
    const window = this.#windows.get(kind) ?? this.#open(kind);
    if (window.written >= MOST_LINES) {
      window.suppressed += 1;
      return;
    }
    window.written += 1;
    write();
  }

  #open(kind: string): Window {
    const window = { written: 0, suppressed: 0 };
    this.#windows.set(kind, window);
    setTimeout(() => {
      this.#windows.delete(kind);
      if (window.suppressed === 0) return;
      this.#log.warn("lines were left out of the log: too many of one kind", {
        kind,
        left: window.suppressed,
        written: window.written,
        seconds: WINDOW_MS / 1000,
      });
    }, WINDOW_MS).unref();
    return window;
  }
}
