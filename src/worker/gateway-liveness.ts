import type { Ambient } from "../core/ambient.ts";
import { tagOf } from "../core/task.ts";
import type { Stores } from "../redis/stores.ts";
import type { AttemptRegistry } from "./attempt-registry.ts";
import type { LeaseJudge } from "./lease-judge.ts";

/** Time for which a gateway that was found counts as alive (ms). */
const ALIVE_MS = 5000;

export interface GatewayLivenessOptions {
  readonly stores: Pick<Stores, "bodies" | "registry" | "replies">;
  readonly attemptRegistry: Pick<AttemptRegistry, "all">;
  /** Decides whether the view that Redis gives of gateways may be believed. */
  readonly leaseJudge: Pick<LeaseJudge, "check">;
  readonly ambient: Pick<Ambient, "mono">;
}

/** Stops the attempts whose gateway is gone: no client can get their answers. */
export class GatewayLiveness {
  readonly #options: GatewayLivenessOptions;
  /** Gateway tag -> mono ms until which it counts as alive. */
  readonly #alive = new Map<string, number>();

  constructor(options: GatewayLivenessOptions) {
    this.#options = options;
  }

  /** Checks the gateway of a new attempt, unless it was found a moment ago. */
  check(tag: string): void {
    if ((this.#alive.get(tag) ?? 0) > this.#options.ambient.mono()) return;
    this.#checkAll([tag]).catch(() => undefined);
  }

  /** Checks the gateways of all attempts. Rejects with `redis_down`. */
  async checkAll(): Promise<void> {
    const tags = new Set(this.#options.attemptRegistry.all().map((attempt) => tagOf(attempt.id)));
    await this.#checkAll([...tags]);
  }

  async #checkAll(tags: readonly string[]): Promise<void> {
    if (tags.length === 0) return;
    const { stores, leaseJudge, ambient } = this.#options;
    const alive = await stores.registry.gatewaysAlive(tags);
    const until = ambient.mono() + ALIVE_MS;
    for (const tag of alive) this.#alive.set(tag, until);
    const gone = tags.filter((tag) => !alive.has(tag));
    if (gone.length === 0 || !(await leaseJudge.check())) return;
    for (const tag of gone) this.#stopAttempts(tag);
  }

  #stopAttempts(tag: string): void {
    this.#alive.delete(tag);
    const { stores, attemptRegistry } = this.#options;
    const attempts = attemptRegistry.all().filter((attempt) => tagOf(attempt.id) === tag);
    for (const attempt of attempts) {
      attempt.stop("gone");
      // No other process drops it before the deadline.
      stores.bodies.drop(attempt.id).catch(() => undefined);
    }
    if (attempts.length === 0) return;
    const tasks = attempts.map(({ id }) => id);
    stores.replies.drop(tasks).catch(() => undefined);
  }
}
