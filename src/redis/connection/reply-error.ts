import { ErrorReply } from "redis";

/** First words of Redis 7.0 when a user lacks a right that a script needs. Later versions reply NOPERM. */
const DENIED_IN_SCRIPT = "ERR The user executing the script can't ";

/**
 * An error reply of Redis. Its message is our own: Redis's words name users, keys and arguments.
 * Clients and screens must not show them. They are in the `cause`.
 */
export class ReplyError extends Error {
  /** The code word of the reply: `NOPERM`, `WRONGTYPE`, `ERR`. */
  readonly reply: string;
  /** Name of the command; empty when not known. */
  readonly command: string;

  constructor(cause: Error, command = "") {
    const reply = codeWord(cause.message);
    super(`Redis answered ${command === "" ? "a command" : command} with an error (${reply})`, { cause });
    this.name = "ReplyError";
    this.reply = reply;
    this.command = command;
  }
}

/** True for an error reply of Redis: the connection is sound. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof ErrorReply || error instanceof ReplyError;
}

/** The code word of an error reply, e.g. `NOSCRIPT`, `NOGROUP`, `BUSYGROUP`; "" for any other error. */
export function replyErrorCode(error: unknown): string {
  if (error instanceof ReplyError) return error.reply;
  return error instanceof ErrorReply ? codeWord(error.message) : "";
}

/** Redis's own words; "" for anything but an error reply. */
export function replyText(error: unknown): string {
  if (error instanceof ErrorReply) return error.message;
  return error instanceof ReplyError ? replyText(error.cause) : "";
}

/** The code word of the error reply behind a `redis_down`, e.g. `READONLY`; "" when there was no reply. */
export function outageCode(error: unknown): string {
  return error instanceof Error ? replyErrorCode(error.cause) : "";
}

/** The error reply that an error is, or has among its causes. */
export function replyErrorIn(error: unknown): ReplyError | undefined {
  if (error instanceof ReplyError) return error;
  return error instanceof Error ? replyErrorIn(error.cause) : undefined;
}

function codeWord(text: string): string {
  return text.startsWith(DENIED_IN_SCRIPT) ? "NOPERM" : (/^\S+/.exec(text)?.[0] ?? "");
}
