import { Fault, isFaultCode } from "../core/fault.ts";
import { queueWords } from "../core/ability.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { claimReply } from "../redis/reply-stream.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import type { Acknowledger } from "./acknowledger.ts";
import { newAttemptNumber } from "./attempt.ts";
import type { Delivery } from "./attempt.ts";
import type { Doubts } from "./doubts.ts";
import type { Refuser } from "./refuser.ts";
import type { Place } from "./place.ts";
import type { Runner } from "./runner.ts";
import type { Past } from "./take-over.ts";
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
export type Resume = (
  place: Place & Partial<Past>,
  queued: QueuedTask,
  deliveries: number,
) => Promise<boolean>;

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
    const { lost, handedBack = false } = place;
    const claim = { task, attempt: proposed, worker, lost };
    const { state, ...claimed } = await claimReply(connection, keys, claim);
    const delivery = { ...claimed, deliveries, lost };
    log.info("task taken over", { task, model: queueWords(queued.model), state, deliveries, lost });
    if (state === "gone" || state === "answered") {
      acknowledger.add(queued.model, queued.entry, task);
    } else if (state === "begun") {
      const fault = new Fault("worker_lost", "the worker was lost during the answer");
      void refuser.refuse(queued, fault, delivery);
    } else if (deliveries > deliveryLimit) {
      // This delivery runs nothing: those before it are what counts.
      const before = { ...delivery, deliveries: deliveries - 1, ordinal: claimed.ordinal - 1 };
      void refuser.refuse(queued, limitFault(before, handedBack), before);
    } else {
      return runner.run(place, queued, delivery);
    }
    return false;
  };
}

/**
 * Returns the fault of a task that reached its delivery limit. The fault tells of its last attempt: a failure that
 * has a name is no lost worker, and makes no dead letter.
 */
function limitFault({ deliveries, earlier = [] }: Delivery, wasHandedBack: boolean): Fault {
  const tries = `${deliveries} ${deliveries === 1 ? "delivery" : "deliveries"}`;
  const last = wasHandedBack ? earlier.at(-1) : undefined;
  if (last === undefined || !isFaultCode(last.code)) {
    // One that several workers did not survive is what kills them.
    const blame = deliveries > 1 ? "request" : "worker";
    return new Fault("delivery_limit", `no worker answered in ${tries}`, { blame });
  }
  const http = last.http >= 400 && last.http <= 599 ? { http: last.http } : {};
  return new Fault(last.code, `the backend failed, and the request was tried in ${tries}`, {
    ...http,
    blame: last.cause,
  });
}
