import type { Argument, Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { refusedReply } from "./outages.ts";
import { asArray } from "./replies.ts";
import { ENQUEUE, run } from "./scripts.ts";

/** A task on its way into its model's queue. */
export interface NewTask {
  readonly id: string;
  /** Model key. */
  readonly model: string;
  /** Ms until its deadline. */
  readonly life: number;
  /** See wire/task-codec.ts. */
  readonly record: Buffer;
}

/** Where the records are among the arguments. */
const RECORDS_AT = 1;

const NOTHING = Buffer.alloc(0);

/** An expiry as Redis takes it: whole ms, not in the past. */
export function lifeOf(ms: number): string {
  return String(Math.max(1, Math.ceil(ms)));
}

/**
 * Makes tasks durable in one call: reply streams, queue entries, doorbells. On one server only: the keys share no hash
 * tag. Answers with the queue entry of each, or what Redis said instead; rejects when that is not known of any.
 */
export async function enqueueTogether(
  connection: Connection,
  keys: Keys,
  tasks: readonly NewTask[],
): Promise<readonly unknown[]> {
  const models = new Map<string, number>();
  const replies: string[] = [];
  // All records in one argument: each Buffer among the arguments is a piece of its own for the socket.
  const args: Argument[] = [String(tasks.length), NOTHING];
  for (const { id, model, life, record } of tasks) {
    let number = models.get(model);
    if (number === undefined) models.set(model, (number = models.size + 1));
    replies.push(keys.reply(id));
    args.push(String(number), lifeOf(life), String(record.length));
  }
  args[RECORDS_AT] = Buffer.concat(tasks.map(({ record }) => record));
  const queues = [...models.keys()].flatMap((model) => [keys.queue(model), keys.doorbell(model)]);
  const entries = asArray(await run(connection, ENQUEUE, [...replies, ...queues], args));
  return entries.map((entry) => (entry instanceof Error ? refusedReply(entry) : entry));
}
