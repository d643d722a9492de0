import { setTimeout as delay } from "node:timers/promises";
import { systemAmbient } from "../core/ambient.ts";
import { Fault } from "../core/fault.ts";

const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 500;

/** What breaks again sooner than this, ms, was not mended: the pauses go on growing. */
const STEADY_MS = 2000;

/** How often a connection that hears nothing of a change by itself looks for one, ms. */
const LOOK_MS = 5000;

/**
 * Keeps a connection up that is made of connections to several servers, which may change their roles: restores it
 * until that works, then tells whoever listens.
 */
export class Upkeep {
  readonly #restore: () => Promise<boolean>;
  readonly #onReconnect: ((moved: boolean) => void)[] = [];
  readonly #onDown: ((error: unknown) => void)[] = [];
  readonly #over: AbortController = new AbortController();
  #attempt: Promise<void> | undefined;
  #looks: NodeJS.Timeout | undefined;
  #opened = false;
  #up = false;
  #mending = false;
  /** A server was replaced, and nobody was told yet. */
  #moved = false;
  /** Attempts to mend it since it was steady. */
  #tries = 0;
  #upSince = Number.NEGATIVE_INFINITY;
  /** Something broke during the attempt under way. */
  #brokeAgain = false;

  /**
   * @param restore connects what is missing; resolves when everything is there, with true when another server has
   * taken over since the last time; rejects when something is missing still
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

  /** The first attempt. Rejects with `redis_down`. */
  async open(): Promise<void> {
    await this.look();
    if (!this.#up) throw new Fault("redis_down", "the connection to Redis broke");
    this.#opened = true;
  }

  /** Something does not work any more: it is mended, however long that takes. */
  broke(error: unknown): void {
    this.#up = false;
    this.#brokeAgain = true;
    if (!this.#opened || this.#over.signal.aborted) return;
    for (const listener of this.#onDown) listener(error);
    if (!this.#mending) void this.#mend();
  }

  /** One attempt now; one that is under way is shared. Rejects with `redis_down`. */
  async look(): Promise<void> {
    this.#attempt ??= this.#try().finally(() => {
      this.#attempt = undefined;
    });
    return this.#attempt;
  }

  /** From now on looks now and then: for connections that only listen, and so would not be told of a change. */
  lookNowAndThen(): void {
    this.#looks ??= setInterval(() => {
      this.look().catch(() => undefined);
    }, LOOK_MS);
  }

  /** @throws Fault `redis_down` when it was closed: what is made now would stay. */
  assertOpen(): void {
    if (this.#over.signal.aborted) throw new Fault("redis_down", "the connection was closed");
  }

  close(): void {
    this.#up = false;
    clearInterval(this.#looks);
    this.#over.abort();
  }

  async #mend(): Promise<void> {
    this.#mending = true;
    const { signal } = this.#over;
    if (systemAmbient.mono() - this.#upSince > STEADY_MS) this.#tries = 0;
    for (; !this.#up && !signal.aborted; this.#tries += 1) {
      // Whoever closes it ends the pause.
      if (this.#tries > 0) await delay(pause(this.#tries), undefined, { signal }).catch(() => undefined);
      await this.look().catch(() => undefined);
    }
    this.#mending = false;
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
