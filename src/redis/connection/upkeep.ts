import { setTimeout as delay } from "node:timers/promises";
import { systemAmbient } from "../../core/ambient.ts";
import { Fault } from "../../core/fault.ts";

/** Bounds of the pause between two attempts to connect, ms. */
const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 500;

/** A connection that breaks sooner than this was not stable: the pauses grow on. Ms. */
const STEADY_MS = 2000;

/** Interval between two checks of a connection that learns of no change by itself, ms. */
const CHECK_MS = 5000;

/**
 * Keeps up a connection that consists of connections to several servers, which may change their roles.
 * Tries to restore it until that works, then notifies the listeners.
 */
export class Upkeep {
  readonly #restore: () => Promise<boolean>;
  readonly #onReconnect: ((moved: boolean) => void)[] = [];
  readonly #onDown: ((error: unknown) => void)[] = [];
  readonly #over: AbortController = new AbortController();
  #attempt: Promise<void> | undefined;
  #checks: NodeJS.Timeout | undefined;
  #opened = false;
  #up = false;
  #restoring = false;
  /** A server was replaced, and the listeners do not know yet. */
  #moved = false;
  /** Failed attempts since it was stable. */
  #tries = 0;
  #upSince = Number.NEGATIVE_INFINITY;
  /** A server was lost during the attempt under way. */
  #brokeAgain = false;

  /**
   * @param restore connects to missing servers. Resolves with true when another server has taken over since the last
   * call. Rejects when a server is still missing.
   */
  constructor(restore: () => Promise<boolean>) {
    this.#restore = restore;
  }

  get up(): boolean {
    return this.#up;
  }

  onReconnect(listener: (moved: boolean) => void): void {
    this.#onReconnect.push(listener);
  }

  onDown(listener: (error: unknown) => void): void {
    this.#onDown.push(listener);
  }

  /** Makes the first attempt. Rejects with `redis_down`. */
  async open(): Promise<void> {
    await this.check();
    if (!this.#up) throw new Fault("redis_down", "the connection to Redis broke");
    this.#opened = true;
  }

  /** Reports a lost server. Tries to restore the connection until that works or it is closed. */
  broke(error: unknown): void {
    this.#up = false;
    this.#brokeAgain = true;
    if (!this.#opened || this.#over.signal.aborted) return;
    for (const listener of this.#onDown) listener(error);
    if (!this.#restoring) void this.#keepTrying();
  }

  /** Makes one attempt now. An attempt under way is shared. Rejects with `redis_down`. */
  async check(): Promise<void> {
    this.#attempt ??= this.#try().finally(() => {
      this.#attempt = undefined;
    });
    return this.#attempt;
  }

  /** Checks at intervals from now on. For connections that only subscribe, and so learn of no change. */
  checkAtIntervals(): void {
    this.#checks ??= setInterval(() => {
      this.check().catch(() => undefined);
    }, CHECK_MS);
  }

  /** @throws Fault `redis_down` when it was closed: a connection made now would stay open */
  assertOpen(): void {
    if (this.#over.signal.aborted) throw new Fault("redis_down", "the connection was closed");
  }

  close(): void {
    this.#up = false;
    clearInterval(this.#checks);
    this.#over.abort();
  }

  async #keepTrying(): Promise<void> {
    this.#restoring = true;
    const { signal } = this.#over;
    if (systemAmbient.mono() - this.#upSince > STEADY_MS) this.#tries = 0;
    for (; !this.#up && !signal.aborted; this.#tries += 1) {
      // A close ends the pause.
      if (this.#tries > 0) await delay(pause(this.#tries), undefined, { signal }).catch(() => undefined);
      await this.check().catch(() => undefined);
    }
    this.#restoring = false;
  }

  async #try(): Promise<void> {
    this.#brokeAgain = false;
    try {
      if (await this.#restore()) this.#moved = true;
    } catch (error) {
      this.broke(error);
      throw new Fault("redis_down", "Redis cannot be reached", { cause: error });
    }
    if (this.#over.signal.aborted || this.#brokeAgain) return;
    const moved = this.#moved && this.#opened;
    const news = this.#opened && (!this.#up || moved);
    this.#moved = false;
    if (!this.#up) this.#upSince = systemAmbient.mono();
    this.#up = true;
    if (news) for (const listener of this.#onReconnect) listener(moved);
  }
}

function pause(tries: number): number {
  return Math.min(PAUSE_MIN_MS * 2 ** tries, PAUSE_MAX_MS) * (0.75 + Math.random() / 2);
}
