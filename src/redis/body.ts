import type { Connection } from "./connection.ts";
import { lifeOf } from "./enqueue.ts";
import type { Keys } from "./keys.ts";

/**
 * Bodies above this many bytes do not travel in the queue entry: a read of n entries would carry n of them
 * and hold up everybody else (13 MB cost other clients 13 to 24 ms).
 */
export const INLINE_BYTES: number = 128 * 1024;

/** @param lifeMs ms until the task's deadline */
export async function putBody(
  connection: Connection,
  keys: Keys,
  task: { readonly id: string; readonly body: Buffer },
  lifeMs: number,
): Promise<void> {
  await connection.command("SET", keys.body(task.id), task.body, "PX", lifeOf(lifeMs));
}

/** The body of a task, or undefined when nobody waits for its answer any more. */
export async function getBody(connection: Connection, keys: Keys, task: string): Promise<Buffer | undefined> {
  const value = await connection.command("GET", keys.body(task));
  return Buffer.isBuffer(value) ? value : undefined;
}

export async function dropBody(connection: Connection, keys: Keys, task: string): Promise<void> {
  await connection.command("UNLINK", keys.body(task));
}
