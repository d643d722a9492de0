import { setTimeout as delay } from "node:timers/promises";
import type { Ambient } from "../core/ambient.ts";
import { toFault } from "../core/fault.ts";
import { serveOrder } from "../core/placement.ts";
import type { PlacementPlan } from "../core/placement.ts";
import { replyErrorCode } from "../redis/connection/reply-error.ts";
import type { Doorbells } from "../redis/doorbells.ts";
import type { UsedTokens } from "../redis/placed-consumer.ts";
import type { QueuedTask } from "../redis/task-queue.ts";
import type { Log } from "../telemetry/log.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { FailoverGuard } from "./failover-guard.ts";
import type { FirstDeliveries } from "./first-deliveries.ts";
import type { Link } from "./links.ts";
import { headsByModel } from "./model-queues.ts";
import type { Sweeper } from "./sweeper.ts";

/** Most tasks of one claim: bounds the answer of Redis to some megabytes. */
const MOST_PER_TAKE = 64;

/** Shortest and longest wait for the doorbell (ms). Its end is also a read of the queue, which heals a lost token. */
const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 1500;

const LATE_MIN_MS = 500;

/**
 * Shortest interval at which the heads of other queues are read while loaded models are served (ms). Each read takes 0.5
 * us of Redis per model and 3 us per queue that is not empty. A wait bound is 2 s or more.
 */
const HEADS_MS = 100;

/** Pause after an error of Redis (ms): it may be loading its data. */
const ERROR_PAUSE_MS = 200;

/** The Redis of one claimer. Its connection is its own, since it blocks. */
export interface ClaimLink extends Link<"consumer" | "placed" | "queue" | "registry" | "replies"> {
  /** Doorbells of a connection that does not block: they end the wait of the other. */
  readonly doorbells: Pick<Doorbells, "interrupt">;
  /** Name of this claimer, for {@link Doorbells.interrupt}. */
  readonly name: string;
  readonly worker: string;
}

export interface ClaimerOptions {
  readonly backendSlots: BackendSlots;
  readonly link: ClaimLink;
  readonly log: Log;
  readonly leaseMs: number;
  readonly failoverGuard: Pick<FailoverGuard, "watch" | "settleMs" | "filterRunnable">;
  readonly sweeper: Pick<Sweeper, "findOrphans">;
  readonly deliveries: Pick<FirstDeliveries, "start">;
  readonly ambient: Pick<Ambient, "mono" | "random">;
}

/** The models of one claim, its most tasks, and its longest wait. */
interface ClaimRequest {
  /** Models whose doorbells end the wait. */
  readonly models: readonly string[];
  readonly credits: number;
  /** Ms. */
  readonly waitMs: number;
}

/**
 * Claims tasks for one backend, never more than it has free slots. The number of slots is the credit, so a busy backend
 * leaves its work to others.
 */
export class Claimer {
  readonly #options: ClaimerOptions;
  #loop: Promise<void> | undefined;
  /** Delay of an answer after its wait that makes it lost (ms): other workers may have taken its tasks over. */
  readonly #lateMs: number;
  #stopped = false;
  #turn = 0;
  /** Mono ms of the last read of all queues, not only of the ones that rang. */
  #readAllAt = Number.NEGATIVE_INFINITY;
  #isErrorLogged = false;
  /** Mono ms of the last read of the queue heads of models that are not loaded. */
  #headsAt = Number.NEGATIVE_INFINITY;
  /** Most tasks that the wait under way may bring; 0 when there is none. */
  #requested = 0;
  #onReady: (() => void) | undefined;
  /** True while the wait under way leaves models out, which a change may let in. */
  #withholds = false;
  /** Tasks were known to wait, and none came: the next claim waits for a doorbell. */
  #claimedNone = false;
  /** Tokens that the last wait took, and whose tasks are not claimed yet. */
  #usedTokens: UsedTokens | undefined;

  constructor(options: ClaimerOptions) {
    this.#options = options;
    this.#lateMs = Math.max(LATE_MIN_MS, options.leaseMs / 4);
    const { backendSlots, link, failoverGuard, sweeper } = options;
    backendSlots.onLend(() => this.#lent());
    backendSlots.onPlan(() => this.#replan());
    failoverGuard.watch(link.connection);
    link.connection.onReconnect(() => {
      sweeper.findOrphans();
      this.#onReady?.();
    });
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Ends a wait under way, which would bring tasks to a backend that is held by now. Never rejects. */
  async interrupt(): Promise<void> {
    const { doorbells, name } = this.#options.link;
    await doorbells.interrupt(name).catch(() => undefined);
  }

  /** Resolves when no further task will be claimed: at once, or with Redis away at most one wait later. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#options.backendSlots.wake();
    this.#onReady?.();
    if (this.#loop === undefined) return;
    await this.interrupt();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { backendSlots, link, failoverGuard } = this.#options;
    while (!this.#stopped) {
      if (backendSlots.offer.credits === 0) await backendSlots.changed();
      else if (!link.connection.ready) await this.#ready();
      else if (failoverGuard.settleMs(link.connection) > 0) await this.#settle();
      else await this.#claim();
    }
  }

  async #claim(): Promise<void> {
    const { backendSlots, link, ambient, failoverGuard, deliveries, sweeper } = this.#options;
    this.#turn += 1;
    const offer = backendSlots.offer;
    const plan = backendSlots.plan(offer.models, this.#turn);
    if (plan !== undefined && plan.listen.length === 0) {
      await this.#idle(plan.recheckAt);
      return;
    }
    const models = plan?.listen ?? serveOrder(offer.models, this.#turn);
    const credits = Math.min(offer.credits, MOST_PER_TAKE);
    const claimedAt = ambient.mono();
    const longest = WAIT_MIN_MS + ambient.random() * (WAIT_MAX_MS - WAIT_MIN_MS);
    const waitMs = plan?.waits === true && !this.#claimedNone ? 0 : longest;
    const request = { models, credits, waitMs };
    try {
      this.#requested = credits;
      const tasks =
        plan === undefined ? await this.#takeAny(request) : await this.#takePlanned(plan, request);
      this.#requested = 0;
      this.#isErrorLogged = false;
      if (ambient.mono() - claimedAt > waitMs + this.#lateMs) {
        sweeper.findOrphans();
        return;
      }
      const runnable = await failoverGuard.filterRunnable(link, tasks);
      for (const task of runnable) deliveries.start(backendSlots, task, claimedAt);
    } catch (error) {
      this.#requested = 0;
      await this.#recover(error, models);
    }
  }

  async #takeAny(request: ClaimRequest): Promise<readonly QueuedTask[]> {
    const { stores, worker: consumer, name: claimer } = this.#options.link;
    const now = this.#options.ambient.mono();
    const all = now - this.#readAllAt > WAIT_MAX_MS;
    if (all) this.#readAllAt = now;
    return stores.consumer.take({ ...request, consumer, all, claimer });
  }

  /** Claims for the models whose turn it is, and reads the queue heads of the others. */
  async #takePlanned(plan: PlacementPlan, request: ClaimRequest): Promise<readonly QueuedTask[]> {
    const { backendSlots, ambient } = this.#options;
    const { listen, recheckAt } = plan;
    const open = backendSlots.offer.models.map(({ key }) => key);
    const soonMs = recheckAt - ambient.mono();
    const timer =
      soonMs < request.waitMs ? setTimeout(() => this.#due(), Math.max(0, soonMs) + 1) : undefined;
    this.#withholds = request.waitMs > 0 && listen.length < open.length;
    try {
      if (!this.#knowsHeads(plan, request)) return await this.#takeWithHeads(plan, request, open);
      this.#usedTokens = undefined;
      return await this.#takeAny({ ...request, waitMs: Math.min(request.waitMs, HEADS_MS) });
    } finally {
      this.#withholds = false;
      clearTimeout(timer);
    }
  }

  /** @param open models whose queue heads are read */
  async #takeWithHeads(
    { claim, listen }: PlacementPlan,
    request: ClaimRequest,
    open: readonly string[],
  ): Promise<readonly QueuedTask[]> {
    const { backendSlots, link, ambient, log } = this.#options;
    const { stores, worker: consumer, name: claimer } = link;
    const wanted = {
      ...request,
      claim,
      listen,
      headsOf: open,
      consumer,
      claimer,
      usedTokens: this.#usedTokens,
    };
    const { tasks, heads, refused, usedTokens } = await stores.placed.take(wanted);
    this.#headsAt = ambient.mono();
    this.#usedTokens = usedTokens;
    this.#claimedNone = request.waitMs === 0 && tasks.length === 0;
    if (backendSlots.placement?.heads(headsByModel(heads), refused) === false) {
      log.warn(
        "models are not placed: this user of Redis may not read queue heads, see docs/redis-users.acl",
      );
    }
    return tasks;
  }

  /** True while only loaded models may be claimed and the heads of the others were read just now. */
  #knowsHeads({ claim, listen, swapTo }: PlacementPlan, { waitMs }: ClaimRequest): boolean {
    const isSettled =
      waitMs > 0 && claim.length > 0 && listen.length === claim.length && swapTo === undefined;
    return isSettled && this.#options.ambient.mono() - this.#headsAt < HEADS_MS;
  }

  /** The time has come that the plan has named: for models that the wait leaves out, and for requeued tasks. */
  #due(): void {
    this.#options.backendSlots.wake();
    void this.interrupt();
  }

  /** Nothing may be claimed before something ends, or time has passed. @param until mono ms */
  async #idle(until: number): Promise<void> {
    const { backendSlots, ambient } = this.#options;
    const leftMs = Math.min(WAIT_MAX_MS, Math.max(1, until - ambient.mono()));
    const timer = setTimeout(() => backendSlots.wake(), leftMs);
    await backendSlots.changed();
    clearTimeout(timer);
  }

  /** Ends a wait that leaves models out when that may have changed. */
  #replan(): void {
    if (!this.#withholds) return;
    this.#withholds = false;
    void this.interrupt();
  }

  /** Ends a wait that may bring tasks for slots that were lent: the next one asks for fewer. */
  #lent(): void {
    if (this.#requested <= this.#options.backendSlots.offer.credits) return;
    this.#requested = 0;
    void this.interrupt();
  }

  /** A queue without its group (a Redis that lost its data) gets it again; a Redis that is away is waited for. */
  async #recover(error: unknown, models: readonly string[]): Promise<void> {
    const { connection, stores } = this.#options.link;
    this.#logError(error);
    try {
      if (replyErrorCode(error) !== "") {
        for (const model of models) await stores.queue.ensureGroup(model);
      }
    } catch {
      // Redis is away, or still refuses: wait for it.
    }
    if (connection.ready) await delay(ERROR_PAUSE_MS);
    else await this.#ready();
  }

  /** Logs once until a claim succeeds: it is tried several times a second. */
  #logError(error: unknown): void {
    const { link, log } = this.#options;
    if (this.#isErrorLogged || !link.connection.ready) return;
    this.#isErrorLogged = true;
    log.warn("claiming failed", { reason: toFault(error).message });
  }

  /** Redis may have lost the last removals: the workers that ended tasks remove them again before they are claimed. */
  async #settle(): Promise<void> {
    const { failoverGuard, link } = this.#options;
    const timer = setTimeout(() => this.#onReady?.(), failoverGuard.settleMs(link.connection));
    await this.#woken();
    clearTimeout(timer);
  }

  async #ready(): Promise<void> {
    if (!this.#options.link.connection.ready) await this.#woken();
  }

  /** Resolves at a reconnect, after the pause, or when this stops. */
  async #woken(): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      this.#onReady = resolve;
    });
    this.#onReady = undefined;
  }
}
