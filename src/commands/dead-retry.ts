import { isUtf8 } from "node:buffer";
import type { Settings } from "../config/settings.ts";
import { Fault } from "../core/fault.ts";
import { openHeadlessGateway } from "../gateway/dead-letters/headless-gateway.ts";
import type { HeadlessGateway } from "../gateway/dead-letters/headless-gateway.ts";
import type { Rerun } from "../gateway/dead-letters/rerun.ts";
import { retryLetter } from "../gateway/dead-letters/retry.ts";
import type { Retried } from "../gateway/dead-letters/retry.ts";
import type { Connection } from "../redis/connection/connection.ts";
import type { DeadLetter } from "../redis/dead-letters.ts";
import type { Stores } from "../redis/stores.ts";
import { openLog } from "../telemetry/log.ts";
import { duration } from "./duration.ts";
import { BytePrinter, printError, printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";
import { INTERRUPTED, listenForStop } from "./stop-request.ts";

export interface RetryContext {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly stores: Pick<Stores, "letters">;
}

export interface RetryOptions {
  /** Writes the answers to standard output as they come. Messages about them go to standard error. */
  readonly answers: boolean;
  /** Prints one JSON document at the end, with the answers if they are wanted. */
  readonly json: boolean;
}

/**
 * Runs dead letters again, one after the other. A letter is removed when it is answered, or when it fails again and
 * becomes a new letter. Resolves with the exit code: 0 when all were answered, 130 when the user stopped it.
 */
export async function retryLetters(
  context: RetryContext,
  letters: readonly DeadLetter[],
  options: RetryOptions,
): Promise<number> {
  const { settings, connection: commands } = context;
  const log = openLog({ level: "error", format: settings.logFormat });
  const stop = listenForStop();
  try {
    return await withConnection(settings, "dead-channel", async (channel) => {
      const dispatcher = await openHeadlessGateway({ settings, log, commands, channel });
      try {
        return await retryAll({ ...context, ...options, dispatcher, stopped: stop.requested }, letters);
      } finally {
        await dispatcher.close();
      }
    });
  } finally {
    stop.release();
  }
}

interface RetryRun extends RetryContext, RetryOptions {
  readonly dispatcher: HeadlessGateway;
  /** Resolves when the command must end. */
  readonly stopped: Promise<void>;
}

async function retryAll(run: RetryRun, letters: readonly DeadLetter[]): Promise<number> {
  const results: (Verdict & { readonly id: string; readonly model: string })[] = [];
  for (const letter of letters) {
    const verdict = await retryOne(run, letter);
    results.push({ id: letter.id, model: letter.model, ...verdict });
    if (!run.json) printError(`${letter.id} of ${letter.model}: ${verdict.says}\n`);
    if (verdict.stopped === true) break;
  }
  const answered = results.filter((one) => one.answered).length;
  if (run.json) printJson({ of: letters.length, answered, letters: results });
  else if (!run.answers) printError(`${answered} of ${letters.length} answered.\n`);
  if (results.at(-1)?.stopped === true) return INTERRUPTED;
  return answered === letters.length ? 0 : 1;
}

interface Verdict {
  readonly answered: boolean;
  readonly says: string;
  /** The user stopped waiting. */
  readonly stopped?: boolean;
  /** The answer for the JSON document, if wanted: as text, else in base64. */
  readonly answer?: string;
  readonly answerBase64?: string;
}

function answerMember(bytes: Buffer): Pick<Verdict, "answer" | "answerBase64"> {
  return isUtf8(bytes) ? { answer: bytes.toString() } : { answerBase64: bytes.toString("base64") };
}

/** True for an answer that may get a final line break: sound and images must not get an extra byte. */
function isText(contentType: string): boolean {
  return contentType === "" || /^(?:text\/|application\/(?:[\w.-]+\+)?(?:x-nd)?json\b)/i.test(contentType);
}

async function retryOne(run: RetryRun, { model, id }: DeadLetter): Promise<Verdict> {
  const { stores, dispatcher, stopped, answers, json } = run;
  const printer = new BytePrinter();
  const gathered: Buffer[] = [];
  const print = (bytes: Buffer): void => {
    if (answers && json) gathered.push(bytes);
    else if (answers) printer.print(bytes);
  };
  let gaveUp = false;
  const onRun = async (started: Rerun): Promise<void> => {
    await stopped;
    gaveUp = true;
    started.cancel();
  };
  const { host: rerun, readers } = dispatcher;
  const host = {
    stores,
    dispatcher: rerun,
    readers,
    serves: (key: string) => dispatcher.serves(key),
  };
  try {
    const retried = await retryLetter(host, {
      model,
      id,
      onBytes: print,
      onRun: (started) => void onRun(started),
    });
    const { body, contentType } = await retried.run.answer;
    print(body);
    if (gaveUp && retried.outcome.fault !== undefined && !retried.removed)
      return { answered: false, says: "stopped by you; the letter stays", stopped: true };
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
    const rest = removed ? "it is now a new dead letter" : "the letter stays";
    return { answered: false, says: `${fault.code}: ${fault.message}; ${rest}` };
  }
  const tokens = end?.usage === undefined ? "" : `, ${end.usage.completionTokens} tokens`;
  const rest = removed
    ? "the letter is removed"
    : "Redis failed at that moment, so the letter may still exist: remove it";
  return { answered: true, says: `answered in ${duration(totalMs)}${tokens}, as task ${run.task}; ${rest}` };
}

const NEW_LINE = Buffer.from("\n");
