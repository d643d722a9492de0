import { queueFor } from "../core/ability.ts";
import { Fault } from "../core/fault.ts";
import type { Connection } from "../redis/connection.ts";
import {
  bodyOfLetter,
  dropLetter,
  holdLetter,
  LETTER_HOLD_MS,
  readLetter,
  releaseLetter,
} from "../redis/dead-letters.ts";
import type { LetterName } from "../redis/dead-letters.ts";
import type { Keys } from "../redis/keys.ts";
import { lackOf } from "./destination.ts";
import type { KnownReaders } from "./destination.ts";
import type { Outcome } from "./exchange.ts";
import { isSettled, rerun } from "./rerun.ts";
import type { Rerun, RerunHost, Revived } from "./rerun.ts";

/** What running dead letters again needs. */
export interface RetryHost {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly board: RerunHost;
  /** True when a worker offers this model (by its key) now. */
  readonly serves: (model: string) => boolean;
  /** The fleet, as it was last seen. */
  readonly readers: KnownReaders;
}

/** Whoever wants a letter run again. */
export interface RetryOrder extends LetterName {
  /** Takes a streamed reply in pieces as it comes. */
  readonly onBytes: (bytes: Buffer) => void;
  /** The task is on its way. */
  readonly onRun: (run: Rerun) => void;
}

/** How a letter fared. */
export interface Retried {
  readonly run: Rerun;
  readonly outcome: Outcome;
  /**
   * The letter is gone: the task was answered, or given up anew and has another letter. False for such a task when
   * Redis broke just then: its letter may still lie there, and should be removed, not retried.
   */
  readonly removed: boolean;
}

const RENEW_MS = LETTER_HOLD_MS / 5;

/**
 * Runs a dead letter again and resolves when the task is over. The letter lies where it is until then, so that it
 * outlives this process; a hold keeps all others from running it meanwhile. Rejects with a fault when it does not run:
 * `invalid_request` when it is gone (404) or another runs it (409), `unsupported`, `model_not_found`, `not_implemented`
 * where no backend of the model has the endpoint, or what the intake refuses with.
 */
export async function retryLetter(host: RetryHost, order: RetryOrder): Promise<Retried> {
  const { connection, keys, board } = host;
  const holder = board.newTaskId();
  if (!(await holdLetter(connection, keys, order, holder))) {
    throw new Fault("invalid_request", "it is being run again already", { http: 409 });
  }
  const renewal = setInterval(() => {
    // With Redis away the next one holds it again.
    holdLetter(connection, keys, order, holder).catch(() => undefined);
  }, RENEW_MS);
  try {
    return await runHeld(host, order);
  } finally {
    clearInterval(renewal);
    await releaseLetter(connection, keys, order, holder).catch(() => undefined);
  }
}

/** The letter is read only now: whoever held it before may have removed it. */
async function runHeld(host: RetryHost, order: RetryOrder): Promise<Retried> {
  const { connection, keys, board } = host;
  const letter = await readLetter(connection, keys, order);
  if (letter === undefined) throw noLetter(order);
  const { model, task } = letter;
  const body = await bodyOfLetter(connection, keys, letter);
  const run = rerun(board, runnable({ model, task, body }, host), order.onBytes);
  order.onRun(run);
  const outcome = await run.outcome;
  const removed =
    isSettled(outcome) &&
    (await dropLetter(connection, keys, letter).then(
      () => true,
      () => false,
    ));
  return { run, outcome, removed };
}

export function noLetter({ model, id }: LetterName): Fault {
  return new Fault("invalid_request", `there is no dead letter ${id} of ${model}`, { http: 404 });
}

function runnable(
  { model, task, body }: { [Part in keyof Revived]: Revived[Part] | undefined } & Pick<Revived, "model">,
  { serves, readers }: RetryHost,
): Revived {
  if (task === undefined) {
    throw new Fault("unsupported", "what lay in the queue was no task: it cannot run");
  }
  if (body === undefined) throw new Fault("unsupported", "its body was large and is no longer kept");
  if (!serves(model)) throw new Fault("model_not_found", "no worker offers this model now");
  const lack = lackOf(readers, { queue: queueFor(model, task.endpoint), task });
  if (lack !== undefined) throw lack;
  return { model, task, body };
}
