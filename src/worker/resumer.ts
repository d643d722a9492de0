import { Fault } from "../core/fault.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { claimReply } from "../redis/reply-stream.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import type { Acknowledger } from "./acknowledger.ts";
import { newAttemptNumber } from "./attempt.ts";
import type { Doubts } from "./doubts.ts";
import type { Refuser } from "./refuser.ts";
import type { Place } from "./place.ts";
import type { Runner } from "./runner.ts";
import type { Trust } from "./trust.ts";

export interface ResumerOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly log: Log;
  readonly runner: Pick<Runner, "run">;
  readonly refuser: Pick<Refuser, "read" | "refuse">;
  readonly acknowledger: Pick<Acknowledger, "add" | "hasEnded">;
  readonly doubts: Pick<Doubts, "sift">;
  readonly trust: Pick<Trust, "clock">;
  readonly deliveryLimit: number;
  readonly mono: () => number;
  readonly random: () => number;
}

/**
 * Goes on with a task that was taken over. Resolves with true when it runs: the place is then its own until it ends.
 * Rejects with `redis_down`.
 * @param deliveries how often it was delivered, this time included
 */
export type Resume = (place: Place, queued: QueuedTask, deliveries: number) => Promise<boolean>;

/** Fences the earlier attempts, then runs the task again, ends it, or forgets it. */
export function resumerOf(options: ResumerOptions): Resume {
  const { connection, keys, worker, acknowledger, runner, refuser, deliveryLimit, log } = options;
  const { trust, doubts, mono, random } = options;
  return async (place, queued, deliveries) => {
    const task = refuser.read(queued)?.id;
    if (task === undefined) return false;
    // Another master has taken over, and does not know that it ended here.
    if (acknowledger.hasEnded({ task, entry: queued.entry })) {
      acknowledger.add(queued.model, queued.entry, task);
      return false;
    }
    // Before CLAIM: as long as its gateway has not been heard of, nothing of it counts as an attempt.
    if ((await doubts.sift([queued])).length === 0) return false;
    const proposed = newAttemptNumber(trust.clock(mono()), random());
    const claim = { task, attempt: proposed, worker };
    const { state, attempt, ordinal } = await claimReply(connection, keys, claim);
    log.info("task taken over", { task, model: queued.model, state, deliveries });
    if (state === "gone" || state === "answered") {
      acknowledger.add(queued.model, queued.entry, task);
    } else if (state === "begun") {
      const fault = new Fault("worker_lost", "the worker was lost during the answer");
      void refuser.refuse(queued, fault, { deliveries, ordinal, attempt });
    } else if (deliveries > deliveryLimit) {
      const fault = new Fault("delivery_limit", `no worker answered in ${deliveryLimit} deliveries`);
      void refuser.refuse(queued, fault, { deliveries, ordinal, attempt });
    } else {
      return runner.run(place, queued, { deliveries, ordinal, attempt });
    }
    return false;
  };
}
