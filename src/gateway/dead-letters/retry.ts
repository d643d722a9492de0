import { queueFor } from "../../core/ability.ts";
import { Fault } from "../../core/fault.ts";
import { LETTER_LOCK_MS } from "../../redis/dead-letters.ts";
import type { LetterName } from "../../redis/dead-letters.ts";
import type { Stores } from "../../redis/stores.ts";
import { lackOf } from "../requests/destination.ts";
import type { KnownReaders } from "../requests/destination.ts";
import type { Outcome } from "../../core/outcome.ts";
import { isSettled, rerun } from "./rerun.ts";
import type { Rerun, RerunHost, RerunTask } from "./rerun.ts";

/** The part of a gateway that runs dead letters again. */
export interface RetryHost {
  readonly stores: Pick<Stores, "letters">;
  readonly dispatcher: RerunHost;
  /** Returns true when a worker offers this model (by its key) now. */
  readonly serves: (model: string) => boolean;
  /** The fleet, as last read. */
  readonly readers: KnownReaders;
}

/** A request to run a letter again. */
export interface RetryOrder extends LetterName {
  /** Takes a streamed reply in pieces as they arrive. */
  readonly onBytes: (bytes: Buffer) => void;
  /** Called when the task is on its way. */
  readonly onRun: (run: Rerun) => void;
}

/** The result of a letter that ran again. */
export interface Retried {
  readonly run: Rerun;
  readonly outcome: Outcome;
  /**
   * True when the letter was removed: the task was answered, or failed again and has a new letter. False for such a task
   * when Redis failed just then: its letter may still exist, and should be removed, not retried.
   */
  readonly removed: boolean;
}

const RENEW_MS = LETTER_LOCK_MS / 5;

/**
 * Runs a dead letter again and resolves when the task is over. The letter stays in Redis until then, so that it outlives
 * this process. A lock keeps all others from running it meanwhile.
 * @throws Fault `invalid_request` when the letter is missing (404) or runs already (409), `unsupported`,
 * `model_not_found`. Also `not_implemented` when no backend of the model has the endpoint, and the faults of intake.
 */
export async function retryLetter(host: RetryHost, order: RetryOrder): Promise<Retried> {
  const { stores, dispatcher } = host;
  const holder = dispatcher.newTaskId();
  if (!(await stores.letters.lock(order, holder))) {
    throw new Fault("invalid_request", "it is being run again already", { http: 409 });
  }
  const renewal = setInterval(() => {
    // While Redis is away this fails; the next renewal takes the lock again.
    stores.letters.lock(order, holder).catch(() => undefined);
  }, RENEW_MS);
  try {
    return await runLocked(host, order);
  } finally {
    clearInterval(renewal);
    await stores.letters.unlock(order, holder).catch(() => undefined);
  }
}

/** Reads the letter under the lock: an earlier holder of the lock may have removed it. */
async function runLocked(host: RetryHost, order: RetryOrder): Promise<Retried> {
  const { stores, dispatcher } = host;
  const letter = await stores.letters.read(order);
  if (letter === undefined) throw noLetter(order);
  const { model, task } = letter;
  const body = await stores.letters.bodyOf(letter);
  const run = rerun(dispatcher, runnable({ model, task, body }, host), order.onBytes);
  order.onRun(run);
  const outcome = await run.outcome;
  const removed =
    isSettled(outcome) &&
    (await stores.letters.drop(letter).then(
      () => true,
      () => false,
    ));
  return { run, outcome, removed };
}

export function noLetter({ model, id }: LetterName): Fault {
  return new Fault("invalid_request", `there is no dead letter ${id} of ${model}`, { http: 404 });
}

function runnable(
  {
    model,
    task,
    body,
  }: { [Part in keyof RerunTask]: RerunTask[Part] | undefined } & Pick<RerunTask, "model">,
  { serves, readers }: RetryHost,
): RerunTask {
  if (task === undefined) {
    throw new Fault("unsupported", "the entry in the queue was no task: it cannot run");
  }
  if (body === undefined) throw new Fault("unsupported", "its body was large and is no longer kept");
  if (!serves(model)) throw new Fault("model_not_found", "no worker offers this model now");
  const lack = lackOf(readers, { queue: queueFor(model, task.endpoint), task });
  if (lack !== undefined) throw lack;
  return { model, task, body };
}
