import { tagOf } from "../core/task.ts";
import { decodeTask, taskIdOf } from "../wire/task-codec.ts";
import { BodyStore } from "./body-store.ts";
import type { Connection } from "./connection/connection.ts";
import type { StreamEntry } from "./connection/resp.ts";
import { Doorbells } from "./doorbells.ts";
import type { Keys } from "./keys.ts";
import { ReplyStore } from "./reply-store.ts";
import { TaskLeases } from "./task-leases.ts";
import { TaskQueue } from "./task-queue.ts";

/** Entries read at once (their bodies come with them), and most entries per model and call. */
const PAGE = 20;
const MOST = 1000;

/** Facts that decide whether a task is abandoned. */
export interface Verdicts {
  /** Tag of the calling gateway. Its own tasks are kept. */
  readonly own: string;
  /** Time by that gateway's clock, ms since 1970. */
  readonly now: number;
  /** Time by Redis's clock, ms since 1970: the least of all servers. */
  readonly clock: number;
  /** Filters gateway tags: keeps each one that is certainly gone. */
  readonly gone: (tags: readonly string[]) => Promise<ReadonlySet<string>>;
}

interface Queued {
  readonly entry: string;
  readonly task: string;
  /** Ms since 1970 by its gateway's clock, which may differ from others by any amount. */
  readonly deadline: number;
  /** Time between its creation and its deadline, ms. */
  readonly lifeMs: number;
}

/** Reads an entry. A task of a later version shows only its id. Workers turn an entry that is no task into a dead letter. */
function toQueued({ id: entry, fields }: StreamEntry): readonly Queued[] {
  const payload = fields[1] ?? Buffer.alloc(0);
  const task = taskIdOf(payload);
  if (task === undefined) return [];
  try {
    const { deadline, createdAt } = decodeTask(payload);
    return [{ entry, task, deadline, lifeMs: deadline - createdAt }];
  } catch {
    return [{ entry, task, deadline: Number.POSITIVE_INFINITY, lifeMs: Number.POSITIVE_INFINITY }];
  }
}

async function abandonedAmong(
  entries: readonly StreamEntry[],
  verdicts: Verdicts,
  isHeld: (entry: string) => Promise<boolean>,
): Promise<readonly Queued[]> {
  const others = entries.flatMap(toQueued).filter(({ task }) => tagOf(task) !== verdicts.own);
  const gone = await verdicts.gone([...new Set(others.map(({ task }) => tagOf(task)))]);
  const abandoned = others.map(
    async (queued) =>
      isLate(queued, verdicts) || (gone.has(tagOf(queued.task)) && !(await isHeld(queued.entry))),
  );
  const verdict = await Promise.all(abandoned);
  return others.filter((_queued, index) => verdict[index]);
}

/** True when the deadline has passed by both clocks: either may have been set. */
function isLate({ entry, deadline, lifeMs }: Queued, { now, clock }: Verdicts): boolean {
  return deadline <= now && clock - Number.parseInt(entry, 10) > lifeMs;
}

/** Removes queued tasks whose client is gone. */
export class AbandonedTasks {
  readonly #queue: TaskQueue;
  readonly #doorbells: Doorbells;
  readonly #leases: TaskLeases;
  readonly #replies: ReplyStore;
  readonly #bodies: BodyStore;

  constructor(connection: Connection, keys: Keys) {
    this.#queue = new TaskQueue(connection, keys);
    this.#doorbells = new Doorbells(connection, keys);
    this.#leases = new TaskLeases(connection, keys);
    this.#replies = new ReplyStore(connection, keys);
    this.#bodies = new BodyStore(connection, keys);
  }

  /**
   * Removes abandoned tasks from a model's queue. A task is abandoned when its deadline has passed.
   * So is a task that no worker holds and whose gateway is gone. For models without workers, which would drop them.
   * Reads the 1,000 oldest entries at most. Several gateways may do so at once.
   * @returns how many were removed
   */
  async drop(model: string, verdicts: Verdicts): Promise<number> {
    let dropped = 0;
    let from = "-";
    for (let read = 0; read < MOST; read += PAGE) {
      const entries = await this.#queue.page(model, from, PAGE);
      const isHeld = async (entry: string): Promise<boolean> => this.#isInHand(model, entry);
      dropped += await this.#dropSome(model, await abandonedAmong(entries, verdicts, isHeld));
      const last = entries.at(-1);
      if (last === undefined || entries.length < PAGE) break;
      from = `(${last.id}`;
    }
    return dropped;
  }

  /** True when a worker holds the entry, or held it and was lost. False for a requeued entry. */
  async #isInHand(model: string, entry: string): Promise<boolean> {
    return (await this.#leases.pending(model, entry))?.requeued === false;
  }

  async #dropSome(model: string, abandoned: readonly Queued[]): Promise<number> {
    if (abandoned.length === 0) return 0;
    const entries = abandoned.map(({ entry }) => entry);
    const removed = await this.#queue.remove(model, entries);
    // Another gateway may have removed some of them first, with their tokens.
    if (removed > 0) await this.#doorbells.pop(model, removed);
    // One command each: tasks of different gateways are on different nodes of a cluster.
    const leftovers = abandoned.flatMap(({ task }) => [this.#replies.drop([task]), this.#bodies.drop(task)]);
    await Promise.all(leftovers);
    return removed;
  }
}
