import { setTimeout as delay } from "node:timers/promises";
import { toFault } from "../core/fault.ts";
import { serveOrder } from "../core/placement.ts";
import type { Plan } from "../core/placement.ts";
import { replyErrorCode } from "../redis/reply-error.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { takePlaced } from "../redis/take-placed.ts";
import type { Paid } from "../redis/take-placed.ts";
import { endWait, take } from "../redis/take.ts";
import { ensureGroup } from "../redis/task-stream.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import type { Acknowledger } from "./acknowledger.ts";
import { Doubts } from "./doubts.ts";
import { headsByModel } from "./model-queues.ts";
import type { Station } from "./station.ts";
import type { Trust } from "./trust.ts";

/** Tasks claimed by one look: bounds the answer of Redis to some megabytes. */
const MOST_PER_TAKE = 64;

/** One wait for the doorbell lasts between these, ms; its end is also a look that heals a lost token. */
const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 1500;

const LATE_MIN_MS = 500;

/**
 * While loaded models are served, it is looked at who waits for the others no more often than this, ms: a look takes
 * 0.5 us of Redis per model and 3 us per queue that is not empty, with each claim. A wait bound is 2 s or more.
 */
const HEADS_MS = 100;

/** A Redis that answers with an error (it loads its data, say) is asked again after this, ms. */
const ERROR_PAUSE_MS = 200;

export interface ClaimerOptions {
  readonly station: Station;
  /** Of its own: it blocks. */
  readonly connection: Connection;
  /** One that does not block: ends the wait of the other. */
  readonly bells: Connection;
  /** Key of the bell that does so: this claimer's own. */
  readonly farewell: string;
  readonly keys: Keys;
  readonly consumer: string;
  readonly log: Log;
  readonly leaseMs: number;
  readonly mono: () => number;
  readonly random: () => number;
  /** Redis may have given this worker tasks that it does not know of, or may not run yet. */
  readonly onLost: () => void;
  readonly acknowledger: Pick<Acknowledger, "add" | "hasEnded">;
  readonly trust: Pick<Trust, "look">;
  /** @param askedAt mono ms, before Redis gave the task to this worker */
  readonly run: (station: Station, task: QueuedTask, askedAt: number) => void;
}

/** The tasks that one look may bring, and its longest wait. */
interface Look {
  /** Models whose doorbells end the wait. */
  readonly models: readonly string[];
  readonly credits: number;
  /** Ms. */
  readonly waitMs: number;
}

/**
 * Pulls tasks for one backend, never more than it has free slots: the number of slots is the credit, so a busy
 * backend leaves its work to others.
 */
export class Claimer {
  readonly #options: ClaimerOptions;
  readonly #doubts: Doubts;
  #loop: Promise<void> | undefined;
  /** An answer that takes so much longer than its wait, ms, counts as lost: others may have taken its tasks over. */
  readonly #lateMs: number;
  #stopped = false;
  #turn = 0;
  /** Mono ms when all queues were looked at, not only those that rang. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #told = false;
  /** Mono ms when it was last looked at who waits for models that are not loaded. */
  #headsAt = Number.NEGATIVE_INFINITY;
  /** Most tasks that the wait under way may bring; 0 when there is none. */
  #asked = 0;
  #onReady: (() => void) | undefined;
  /** True while the wait under way leaves models out, which a change may let in. */
  #withholds = false;
  /** Tasks were known to wait, and none came: the next look waits for a doorbell. */
  #barren = false;
  /** Tokens that the last wait took, and whose tasks are not claimed yet. */
  #paid: Paid | undefined;

  constructor(options: ClaimerOptions) {
    this.#options = options;
    this.#doubts = new Doubts({ ...options, onUnsure: options.onLost });
    this.#lateMs = Math.max(LATE_MIN_MS, options.leaseMs / 4);
    options.station.onLend = () => {
      this.#lent();
    };
    options.station.onPlan = () => {
      this.#replan();
    };
    options.connection.onReconnect(() => {
      options.onLost();
      this.#onReady?.();
    });
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Ends a wait under way, which would bring tasks to a station that is held by now. Never rejects. */
  async interrupt(): Promise<void> {
    const { bells, farewell } = this.#options;
    await endWait(bells, farewell).catch(() => undefined);
  }

  /** Resolves when no further task will be claimed: at once, or with Redis away at most one wait later. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#options.station.wake();
    this.#onReady?.();
    if (this.#loop === undefined) return;
    await this.interrupt();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (this.#options.station.offer.credits === 0) await this.#options.station.changed();
      else if (!this.#options.connection.ready) await this.#reconnect();
      else if (this.#doubts.settleMs > 0) await this.#settle();
      else await this.#takeSome();
    }
  }

  async #takeSome(): Promise<void> {
    const { station, mono, run, onLost } = this.#options;
    this.#turn += 1;
    const offer = station.offer;
    const plan = station.plan(offer.models, this.#turn);
    if (plan !== undefined && plan.listen.length === 0) {
      await this.#idle(plan.lookAt);
      return;
    }
    const models = plan?.listen ?? serveOrder(offer.models, this.#turn);
    const credits = Math.min(offer.credits, MOST_PER_TAKE);
    const askedAt = mono();
    const longest = WAIT_MIN_MS + this.#options.random() * (WAIT_MAX_MS - WAIT_MIN_MS);
    const waitMs = plan?.waits === true && !this.#barren ? 0 : longest;
    const look = { models, credits, waitMs };
    try {
      this.#asked = credits;
      const tasks = plan === undefined ? await this.#takeAny(look) : await this.#takePlanned(plan, look);
      this.#asked = 0;
      this.#told = false;
      if (mono() - askedAt > waitMs + this.#lateMs) onLost();
      else for (const task of await this.#doubts.sift(tasks)) run(station, task, askedAt);
    } catch (error) {
      this.#asked = 0;
      await this.#mend(error, models);
    }
  }

  async #takeAny(look: Look): Promise<readonly QueuedTask[]> {
    const { connection, keys, consumer, mono, farewell } = this.#options;
    const all = mono() - this.#lookedAt > WAIT_MAX_MS;
    if (all) this.#lookedAt = mono();
    return take(connection, keys, { ...look, consumer, all, farewell });
  }

  /** Claims for the models whose turn it is, and looks who waits for the others. */
  async #takePlanned(plan: Plan, look: Look): Promise<readonly QueuedTask[]> {
    const { station, connection, keys, consumer, farewell, mono, log } = this.#options;
    const { claim, listen, lookAt } = plan;
    const open = station.offer.models.map(({ key }) => key);
    const soon = lookAt - mono() < look.waitMs ? Math.max(0, lookAt - mono()) + 1 : undefined;
    const timer = soon === undefined ? undefined : setTimeout(() => this.#due(), soon);
    this.#withholds = look.waitMs > 0 && listen.length < open.length;
    try {
      if (this.#knowsHeads(plan, look)) {
        this.#paid = undefined;
        return await this.#takeAny({ ...look, waitMs: Math.min(look.waitMs, HEADS_MS) });
      }
      const asked = { claim, listen, look: open, consumer, farewell, paid: this.#paid, ...look };
      const { tasks, heads, refused, paid } = await takePlaced(connection, keys, asked);
      this.#headsAt = mono();
      this.#paid = paid;
      this.#barren = look.waitMs === 0 && tasks.length === 0;
      if (station.placement?.heads(headsByModel(heads), refused) === false) {
        log.warn("models are not placed: this user of Redis may not ask who waits, see docs/redis-users.acl");
      }
      return tasks;
    } finally {
      this.#withholds = false;
      clearTimeout(timer);
    }
  }

  /** True while nothing but loaded models may be claimed and who waits for the others was looked at just now. */
  #knowsHeads({ claim, listen, swapTo }: Plan, { waitMs }: Look): boolean {
    const isSettled =
      waitMs > 0 && claim.length > 0 && listen.length === claim.length && swapTo === undefined;
    return isSettled && this.#options.mono() - this.#headsAt < HEADS_MS;
  }

  /** The time has come that the plan has named: for models that the wait leaves out, and for what was handed back. */
  #due(): void {
    this.#options.station.wake();
    void this.interrupt();
  }

  /** Nothing may be claimed before something ends, or time has passed. @param lookAt mono ms */
  async #idle(lookAt: number): Promise<void> {
    const { station, mono } = this.#options;
    const timer = setTimeout(() => station.wake(), Math.min(WAIT_MAX_MS, Math.max(1, lookAt - mono())));
    await station.changed();
    clearTimeout(timer);
  }

  /** A wait that leaves models out ends when that may have changed. */
  #replan(): void {
    if (!this.#withholds) return;
    this.#withholds = false;
    void this.interrupt();
  }

  /** Slots that were lent are no longer there for what a wait brings: it ends, and the next one asks for fewer. */
  #lent(): void {
    if (this.#asked <= this.#options.station.offer.credits) return;
    this.#asked = 0;
    void this.interrupt();
  }

  /** A queue without its group (a Redis that lost its data) gets it again; a Redis that is away is waited for. */
  async #mend(error: unknown, models: readonly string[]): Promise<void> {
    const { connection, keys } = this.#options;
    this.#tell(error);
    try {
      if (replyErrorCode(error) !== "") {
        for (const model of models) await ensureGroup(connection, keys, model);
      }
    } catch {
      // Redis is away, or still refuses: wait for it.
    }
    if (connection.ready) await delay(ERROR_PAUSE_MS);
    else await this.#reconnect();
  }

  /** Once until a claim succeeds: it is tried several times a second. */
  #tell(error: unknown): void {
    const { connection, log } = this.#options;
    if (this.#told || !connection.ready) return;
    this.#told = true;
    log.warn("claiming failed", { reason: toFault(error).message });
  }

  /** Redis may have lost what was removed last: who ended tasks removes them again before they are claimed. */
  async #settle(): Promise<void> {
    const timer = setTimeout(() => this.#onReady?.(), this.#doubts.settleMs);
    await this.#awaited();
    clearTimeout(timer);
  }

  async #reconnect(): Promise<void> {
    if (!this.#options.connection.ready) await this.#awaited();
  }

  /** Resolves when the connection is there, or this stops. */
  async #awaited(): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      this.#onReady = resolve;
    });
    this.#onReady = undefined;
  }
}
