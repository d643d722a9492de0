import { ErrorReply } from "redis";

/** How Redis 7.0 begins when a user lacks a right that a script needs: it is no NOPERM there. */
const DENIED_IN_SCRIPT = "ERR The user executing the script can't ";

/**
 * An error reply of Redis in the place of an answer. The message is ours: Redis's own words name users, keys
 * and arguments, and are neither for clients nor for a screen. They are the `cause`, for those that must read them.
 */
export class ReplyError extends Error {
  /** The code word of the reply: `NOPERM`, `WRONGTYPE`, `ERR`. */
  readonly reply: string;
  /** The command without its arguments; empty when it is not known. */
  readonly command: string;

  constructor(cause: Error, command = "") {
    const reply = codeWord(cause.message);
    super(`Redis answered ${command === "" ? "a command" : command} with an error (${reply})`, { cause });
    this.name = "ReplyError";
    this.reply = reply;
    this.command = command;
  }
}

/** True for an error that Redis itself replied with (the connection is fine). */
export function isReplyError(error: unknown): error is Error {
  return error instanceof ErrorReply || error instanceof ReplyError;
}

/** The code word of a Redis reply error, e.g. `NOSCRIPT`, `NOGROUP`, `BUSYGROUP`; "" for anything else. */
export function replyErrorCode(error: unknown): string {
  if (error instanceof ReplyError) return error.reply;
  return error instanceof ErrorReply ? codeWord(error.message) : "";
}

/** Redis's own words; "" for anything but a reply error. */
export function replyText(error: unknown): string {
  if (error instanceof ErrorReply) return error.message;
  return error instanceof ReplyError ? replyText(error.cause) : "";
}

/** The code word of the reply error that a `redis_down` stands for, e.g. `READONLY`; "" when there was no reply. */
export function outageCode(error: unknown): string {
  return error instanceof Error ? replyErrorCode(error.cause) : "";
}

/** The reply error that an error is, or stands for. */
export function replyErrorIn(error: unknown): ReplyError | undefined {
  if (error instanceof ReplyError) return error;
  return error instanceof Error ? replyErrorIn(error.cause) : undefined;
}

function codeWord(text: string): string {
  return text.startsWith(DENIED_IN_SCRIPT) ? "NOPERM" : (/^\S+/.exec(text)?.[0] ?? "");
}
