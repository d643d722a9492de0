import type { Settings } from "../config/settings.ts";
import { openLoneBoard } from "../gateway/lone-board.ts";
import type { LoneBoard } from "../gateway/lone-board.ts";
import { isSettled, rerun } from "../gateway/rerun.ts";
import type { Rerun } from "../gateway/rerun.ts";
import type { Connection } from "../redis/connection.ts";
import { bodyOfLetter, dropLetter } from "../redis/dead-letters.ts";
import type { DeadLetter } from "../redis/dead-letters.ts";
import type { Keys } from "../redis/keys.ts";
import { openLog } from "../telemetry/log.ts";
import { duration } from "./duration.ts";
import { withConnection } from "./redis-url.ts";
import { listenForStop } from "./stop-request.ts";

export interface RetryDesk {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly keys: Keys;
}

export interface RetryOptions {
  /** Writes the answers to standard output as they come; what is said about them goes to standard error. */
  readonly printAnswer: boolean;
}

/**
 * Runs dead letters again, one after the other, and removes those that are answered or given up anew. Resolves with
 * the exit code: 0 when all were answered.
 */
export async function retryLetters(
  desk: RetryDesk,
  letters: readonly DeadLetter[],
  options: RetryOptions,
): Promise<number> {
  const { settings, connection: commands } = desk;
  const log = openLog({ level: "error", format: settings.logFormat });
  const stop = listenForStop();
  try {
    return await withConnection(settings, "dead-channel", async (channel) => {
      const board = await openLoneBoard({ settings, log, commands, channel });
      try {
        return await retryAll({ ...desk, ...options, board, stopped: stop.requested }, letters);
      } finally {
        await board.close();
      }
    });
  } finally {
    stop.release();
  }
}

interface Bench extends RetryDesk, RetryOptions {
  readonly board: LoneBoard;
  /** Resolves when the command is to end. */
  readonly stopped: Promise<void>;
}

async function retryAll(bench: Bench, letters: readonly DeadLetter[]): Promise<number> {
  let answered = 0;
  for (const letter of letters) {
    const verdict = await retryOne(bench, letter);
    process.stderr.write(`${letter.id} of ${letter.model}: ${verdict.says}\n`);
    answered += Number(verdict.answered);
    if (verdict.stopped === true) break;
  }
  if (!bench.printAnswer) process.stderr.write(`${answered} of ${letters.length} answered.\n`);
  return answered === letters.length ? 0 : 1;
}

interface Verdict {
  readonly answered: boolean;
  readonly says: string;
  /** The person gave up waiting. */
  readonly stopped?: boolean;
}

async function retryOne(bench: Bench, letter: DeadLetter): Promise<Verdict> {
  const { connection, keys, board, printAnswer } = bench;
  const { task, model } = letter;
  if (task === undefined)
    return { answered: false, says: "what lay in the queue was no task: it cannot run" };
  const body = await bodyOfLetter(connection, keys, letter);
  if (body === undefined) return { answered: false, says: "its body was large and is no longer kept" };
  if (!board.serves(model)) return { answered: false, says: "no worker offers this model now" };
  const print = (bytes: Buffer): void => {
    if (printAnswer) process.stdout.write(bytes);
  };
  const run = rerun(board.host, { model, task, body }, print);
  const stopped = await watched(bench, run);
  print((await run.answer).body);
  return judge(bench, letter, { run, stopped });
}

/** Resolves with true when the person gave up before the end. */
async function watched({ stopped }: Bench, run: Rerun): Promise<boolean> {
  const gaveUp = await Promise.race([run.outcome.then(() => false), stopped.then(() => true)]);
  if (gaveUp) run.cancel();
  return gaveUp;
}

async function judge(
  { connection, keys, printAnswer }: Bench,
  letter: DeadLetter,
  { run, stopped }: { readonly run: Rerun; readonly stopped: boolean },
): Promise<Verdict> {
  const outcome = await run.outcome;
  const { fault, totalMs, end } = outcome;
  if (stopped) return { answered: false, says: "given up by you; the letter stays", stopped };
  const isDone = isSettled(outcome);
  if (isDone) await dropLetter(connection, keys, letter);
  if (printAnswer) process.stdout.write("\n");
  if (fault !== undefined) {
    const rest = isDone ? "it is a new dead letter now" : "the letter stays";
    return { answered: false, says: `${fault.code}: ${fault.message}; ${rest}` };
  }
  const tokens = end?.usage === undefined ? "" : `, ${end.usage.completionTokens} tokens`;
  const says = `answered in ${duration(totalMs)}${tokens}, as task ${run.task}; the letter is removed`;
  return { answered: true, says };
}
