import { tagOf } from "../core/task.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { PRESENCE_MS, serversOfGateways } from "../redis/registry.ts";
import { openAmong } from "../redis/reply-stream.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import { taskIdOf } from "../wire/task-codec.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { Trust } from "./trust.ts";

/**
 * Those that find another master, or a server that was started again, do so within this of each other, as a rule, ms:
 * no pause between attempts to connect is longer than 625. Later ones cost their own tasks time, see {@link Doubts}.
 */
const SETTLE_MS = 750;

/**
 * What is claimed within this of the time when all that do not live can be told, ms: the announcements that the new
 * master has from the old one have run out by then, and leases can be judged.
 */
const LATE_MS = 5000;

export interface DoubtsOptions {
  /** The one that claims. */
  readonly connection: Connection;
  readonly keys: Keys;
  readonly mono: () => number;
  readonly acknowledger: Pick<Acknowledger, "add" | "hasEnded">;
  readonly trust: Pick<Trust, "look">;
  readonly leaseMs: number;
  /** Tasks that may not run yet stay in this worker's hands: it is to look for them again. */
  readonly onUnsure: () => void;
}

/** How a gateway stands to the server that offers a task of its own. */
type Standing =
  /** It has removed there again what it removed last: what it waits for has a reply stream, on a cluster, too. */
  | "settled"
  /** An older one, or a Redis that does not tell its run. */
  | "untold"
  /** It has not found the server yet. */
  | "behind"
  /** It has not announced itself there, or what it announced has run out. */
  | "absent";

interface Doubted {
  readonly queued: QueuedTask;
  /** "" where the entry is none. */
  readonly task: string;
  readonly standing: Standing;
}

/**
 * Keeps tasks from backends that are over, though Redis does not know it: a master that has just taken over never heard
 * of their last removals, a server that lost its power forgot them. Whoever removed them does so again when it is back.
 * No time is long enough to wait for that: a task may run when its gateway says that it has, or is gone.
 */
export class Doubts {
  readonly #options: DoubtsOptions;
  /** What is claimed so long after a move is looked at. */
  readonly #doubtMs: number;
  /** Mono ms: of the latest move, or of the start. */
  #since: number;
  /** False until a move: a worker that has just started does not know of one either, but of no other reason to doubt. */
  #moved = false;
  /** Tags of gateways that have said so. */
  readonly #settled = new Set<string>();

  constructor(options: DoubtsOptions) {
    this.#options = options;
    this.#since = options.mono();
    this.#doubtMs = Math.max(PRESENCE_MS, 1.5 * options.leaseMs) + LATE_MS;
    options.connection.onReconnect((moved) => {
      if (!moved) return;
      this.#since = options.mono();
      this.#moved = true;
      this.#settled.clear();
    });
  }

  /** For so long nothing should be claimed, ms; 0 as a rule. */
  get settleMs(): number {
    return this.#moved ? Math.max(0, this.#since + SETTLE_MS - this.#options.mono()) : 0;
  }

  /**
   * Those of the tasks just claimed that may run. Those that are over are acknowledged; of others nobody knows yet, see
   * {@link DoubtsOptions.onUnsure}. Never rejects.
   */
  async sift(tasks: readonly QueuedTask[]): Promise<readonly QueuedTask[]> {
    const { mono, acknowledger, onUnsure } = this.#options;
    if (tasks.length === 0 || mono() > this.#since + this.#doubtMs) return tasks;
    const claimed = await this.#doubted(tasks);
    // Only now: what a gateway removes before it says so is missing.
    const over = await this.#over(claimed);
    for (const { queued, task } of over) acknowledger.add(queued.model, queued.entry, task);
    const left = claimed.filter((one) => !over.has(one));
    const sure = left.filter(
      ({ standing }) => standing !== "behind" && !(this.#moved && standing === "absent"),
    );
    if (sure.length < left.length) onUnsure();
    return sure.map(({ queued }) => queued);
  }

  async #doubted(tasks: readonly QueuedTask[]): Promise<readonly Doubted[]> {
    const claimed = tasks.map((queued) => ({ queued, task: taskIdOf(queued.payload) ?? "" }));
    const tags = new Set(claimed.map(({ task }) => tagOf(task)));
    const standings = await this.#standings([...tags]);
    return claimed.map(({ queued, task }) => {
      // What is no task is buried by whoever runs it.
      return { queued, task, standing: task === "" ? "untold" : (standings.get(tagOf(task)) ?? "behind") };
    });
  }

  async #standings(tags: readonly string[]): Promise<ReadonlyMap<string, Standing>> {
    const { connection, keys } = this.#options;
    const asked = tags.filter((tag) => !this.#settled.has(tag));
    try {
      const servers = await serversOfGateways(connection, keys, asked);
      return new Map(tags.map((tag) => [tag, this.#standing(tag, servers)]));
    } catch {
      // Away again: the next look tells.
      return new Map();
    }
  }

  #standing(tag: string, servers: ReadonlyMap<string, string | undefined>): Standing {
    const { connection, keys } = this.#options;
    if (this.#settled.has(tag)) return "settled";
    const here = connection.serverOf(keys.channel(tag));
    if (!servers.has(tag)) return "absent";
    const server = servers.get(tag);
    if (here === undefined || server === undefined) return "untold";
    if (server !== here) return "behind";
    this.#settled.add(tag);
    return "settled";
  }

  /** Those that ended here, or that nobody waits for. */
  async #over(claimed: readonly Doubted[]): Promise<ReadonlySet<Doubted>> {
    const { acknowledger, connection } = this.#options;
    const open = await this.#open(claimed.map(({ task }) => task));
    const isAbsent = this.#moved && claimed.some(({ standing }) => standing === "absent");
    const isLost = isAbsent && (await this.#absentAreGone());
    const isOver = ({ queued: { entry }, task, standing }: Doubted): boolean => {
      if (task === "") return false;
      // Who was not here before a move knows of none: only what its gateway has said counts.
      if (!this.#moved) return standing === "settled" && !open.has(task);
      if (acknowledger.hasEnded({ task, entry }) || (isLost && standing === "absent")) return true;
      // A reply is opened before its task is queued: on one server one that is missing was unlinked. On a cluster it may
      // be about to be opened again, as long as its gateway has not said that all are.
      return !open.has(task) && (standing === "settled" || !connection.sharded);
    };
    return new Set(claimed.filter(isOver));
  }

  /** All that live announce themselves more often. */
  async #absentAreGone(): Promise<boolean> {
    const { mono, trust } = this.#options;
    return mono() > this.#since + PRESENCE_MS && (await trust.look());
  }

  async #open(tasks: readonly string[]): Promise<ReadonlySet<string>> {
    const { connection, keys } = this.#options;
    return openAmong(connection, keys, tasks).catch(() => new Set(tasks));
  }
}
