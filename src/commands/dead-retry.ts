import { isUtf8 } from "node:buffer";
import type { Settings } from "../config/settings.ts";
import { Fault } from "../core/fault.ts";
import { openLoneBoard } from "../gateway/lone-board.ts";
import type { LoneBoard } from "../gateway/lone-board.ts";
import type { Rerun } from "../gateway/rerun.ts";
import { retryLetter } from "../gateway/retry.ts";
import type { Retried } from "../gateway/retry.ts";
import type { Connection } from "../redis/connection.ts";
import type { DeadLetter } from "../redis/dead-letters.ts";
import type { Keys } from "../redis/keys.ts";
import { openLog } from "../telemetry/log.ts";
import { duration } from "./duration.ts";
import { BytePrinter, printError, printJson } from "./print.ts";
import { withConnection } from "./redis-url.ts";
import { INTERRUPTED, listenForStop } from "./stop-request.ts";

export interface RetryDesk {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly keys: Keys;
}

export interface RetryOptions {
  /** Writes the answers to standard output as they come; what is said about them goes to standard error. */
  readonly answers: boolean;
  /** Prints one JSON document when all are over, with the answers where they are wanted. */
  readonly json: boolean;
}

/**
 * Runs dead letters again, one after the other, and removes those that are answered or given up anew. Resolves with
 * the exit code: 0 when all were answered, 130 when the person gave up.
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
  const told: (Verdict & { readonly id: string; readonly model: string })[] = [];
  for (const letter of letters) {
    const verdict = await retryOne(bench, letter);
    told.push({ id: letter.id, model: letter.model, ...verdict });
    if (!bench.json) printError(`${letter.id} of ${letter.model}: ${verdict.says}\n`);
    if (verdict.stopped === true) break;
  }
  const answered = told.filter((one) => one.answered).length;
  if (bench.json) printJson({ of: letters.length, answered, letters: told });
  else if (!bench.answers) printError(`${answered} of ${letters.length} answered.\n`);
  if (told.at(-1)?.stopped === true) return INTERRUPTED;
  return answered === letters.length ? 0 : 1;
}

interface Verdict {
  readonly answered: boolean;
  readonly says: string;
  /** The person gave up waiting. */
  readonly stopped?: boolean;
  /** Its text, where it is wanted in the JSON document; what is no text is in base64. */
  readonly answer?: string;
  readonly answerBase64?: string;
}

function answerMember(bytes: Buffer): Pick<Verdict, "answer" | "answerBase64"> {
  return isUtf8(bytes) ? { answer: bytes.toString() } : { answerBase64: bytes.toString("base64") };
}

/** True for an answer that may get a line break at its end: to sound and images it would be a byte too many. */
function isText(contentType: string): boolean {
  return contentType === "" || /^(?:text\/|application\/(?:[\w.-]+\+)?(?:x-nd)?json\b)/i.test(contentType);
}

async function retryOne(bench: Bench, { model, id }: DeadLetter): Promise<Verdict> {
  const { connection, keys, board, stopped, answers, json } = bench;
  const printer = new BytePrinter();
  const gathered: Buffer[] = [];
  const print = (bytes: Buffer): void => {
    if (answers && json) gathered.push(bytes);
    else if (answers) printer.print(bytes);
  };
  let gaveUp = false;
  const onRun = async (run: Rerun): Promise<void> => {
    await stopped;
    gaveUp = true;
    run.cancel();
  };
  const { host: rerun, readers } = board;
  const host = { connection, keys, board: rerun, readers, serves: (key: string) => board.serves(key) };
  try {
    const retried = await retryLetter(host, { model, id, onBytes: print, onRun: (run) => void onRun(run) });
    const { body, contentType } = await retried.run.answer;
    print(body);
    if (gaveUp && retried.outcome.fault !== undefined && !retried.removed)
      return { answered: false, says: "given up by you; the letter stays", stopped: true };
    if (!json && isText(contentType)) print(NEW_LINE);
    const verdict = judge(retried);
    return gathered.length === 0 ? verdict : { ...verdict, ...answerMember(Buffer.concat(gathered)) };
  } catch (error) {
    if (!(error instanceof Fault) || error.code === "redis_down") throw error;
    return { answered: false, says: error.message };
  }
}

function judge({ run, outcome: { fault, totalMs, end }, removed }: Retried): Verdict {
  if (fault !== undefined) {
    const rest = removed ? "it is a new dead letter now" : "the letter stays";
    return { answered: false, says: `${fault.code}: ${fault.message}; ${rest}` };
  }
  const tokens = end?.usage === undefined ? "" : `, ${end.usage.completionTokens} tokens`;
  const rest = removed
    ? "the letter is removed"
    : "Redis broke just then, so that the letter may still lie there: remove it";
  return { answered: true, says: `answered in ${duration(totalMs)}${tokens}, as task ${run.task}; ${rest}` };
}

const NEW_LINE = Buffer.from("\n");
