import { ErrorReply } from "@redis/client";

export type Argument = string | Buffer;

/**
 * A way to Redis that says whether it is up: to one server, to the master that Sentinel names, or to all masters of a
 * Redis Cluster. Commands are pipelined per event-loop turn. Nothing is queued while the way is down: a command then
 * fails at once with `redis_down`, and whoever sent it decides whether it must be sent again.
 */
export interface Connection {
  /** On a Redis Cluster: every key can be reached. */
  readonly ready: boolean;
  /**
   * True on a Redis Cluster. Then one command or script may only touch keys that share a hash tag, commands to keys of
   * different tags do not run in the order in which they were sent, and a channel that has a hash tag is published to
   * with SPUBLISH.
   */
  readonly sharded: boolean;
  /**
   * Bulk strings come back as Buffers. Rejects with `redis_down` when the server of its key is, or goes, down. On a
   * Redis Cluster a command goes to the master of its first key, or, for PUBLISH, of its channel.
   */
  command(...args: Argument[]): Promise<unknown>;
  /** Sends a command that has no key, INFO for instance, to every master: one answer each. */
  everywhere(...args: Argument[]): Promise<unknown[]>;
  /** Messages come as Buffers. Subscriptions are renewed by themselves after a reconnect. */
  subscribe(channel: string, listener: (message: Buffer) => void): Promise<void>;
  /**
   * Called at every (re)connect after the first, and when another server has taken over: what was written last may be
   * lost then. `moved` is true when it is another server, or was started again, and others may have asked it before
   * this is known here; also when it does not tell.
   */
  onReconnect(listener: (moved: boolean) => void): void;
  /** Called with what went wrong when the connection breaks, and at each try to make it again that fails. */
  onDown(listener: (error: unknown) => void): void;
  /**
   * Names the server that has a key, and its run: another name after each start, and at each other master. Undefined
   * while nobody knows, or where the server does not tell.
   */
  serverOf(key: string): string | undefined;
  /** Idempotent; what is under way is rejected. */
  close(): void;
}

/** True for an error that Redis itself replied with (the connection is fine). */
export function isReplyError(error: unknown): error is Error {
  return error instanceof ErrorReply;
}

/** The code word of a Redis reply error, e.g. `NOSCRIPT`, `NOGROUP`, `BUSYGROUP`; "" for anything else. */
export function replyErrorCode(error: unknown): string {
  return isReplyError(error) ? error.message.slice(0, error.message.indexOf(" ")) : "";
}

/** The answer to a read; undefined when its key has another type: whoever put it there must not spoil what others tell. */
export async function unlessMistyped(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (replyErrorCode(error) === "WRONGTYPE") return undefined;
    throw error;
  }
}

/** The code word of the reply error that a `redis_down` stands for, e.g. `READONLY`; "" when there was no reply. */
export function outageCode(error: unknown): string {
  return error instanceof Error ? replyErrorCode(error.cause) : "";
}
