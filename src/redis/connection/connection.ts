import { replyErrorCode } from "./reply-error.ts";

export type Argument = string | Buffer;

/**
 * A connection to one server, to the master that Sentinel names, or to all masters of a Redis Cluster.
 * Commands are pipelined per event-loop turn. No command is queued while the connection is down.
 * It fails at once with `redis_down`, and its sender decides whether to send it again.
 */
export interface Connection {
  /** True when the connection is up. On a Redis Cluster: when every key can be reached. */
  readonly ready: boolean;
  /**
   * True on a Redis Cluster. One command or script may then only touch keys that share a hash tag.
   * Commands to keys of different tags do not run in the order in which they were sent.
   * SPUBLISH publishes to a channel that has a hash tag.
   */
  readonly sharded: boolean;
  /**
   * Sends a command. Bulk strings of the reply are Buffers.
   * Rejects with `redis_down` when the server of its key is down or goes down.
   * On a Redis Cluster a command goes to the master of its first key. PUBLISH goes to that of its channel.
   */
  command(...args: Argument[]): Promise<unknown>;
  /** Sends a command without a key, such as INFO, to every master. Resolves with one reply of each. */
  everywhere(...args: Argument[]): Promise<unknown[]>;
  /** Subscribes to a channel. Messages are Buffers. The subscription survives reconnects. */
  subscribe(channel: string, listener: (message: Buffer) => void): Promise<void>;
  /**
   * Calls the listener at every reconnect, and when another server has taken over.
   * `moved` is true for another server or a restarted one: the last writes may be lost then.
   * It is also true when the server does not report its run.
   * Other clients may have reached that server before this listener is called.
   */
  onReconnect(listener: (moved: boolean) => void): void;
  /** Calls the listener with the error when the connection breaks, and at each failed reconnect. */
  onDown(listener: (error: unknown) => void): void;
  /**
   * Names the run of the server that has a key: another name after each start, and at each other master.
   * Undefined while unknown, or when the server does not report it.
   */
  serverOf(key: string): string | undefined;
  /** Closes the connection. Commands under way reject. Idempotent. */
  close(): void;
}

/** The reply to a read; undefined when its key has another type. One foreign key must not spoil a whole reading. */
export async function unlessMistyped(reply: Promise<unknown>): Promise<unknown> {
  try {
    return await reply;
  } catch (error) {
    if (replyErrorCode(error) === "WRONGTYPE") return undefined;
    throw error;
  }
}
