import type { Ambient } from "../core/ambient.ts";
import { tagOf } from "../core/task.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { PRESENCE_MS } from "../redis/registry.ts";
import type { QueuedTask } from "../redis/task-queue.ts";
import { taskIdOf } from "../wire/task-codec.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { LeaseJudge } from "./lease-judge.ts";
import type { Link } from "./links.ts";

/**
 * Pause of all claims after a failover (ms). Most processes find the new master within this time of each other: no pause
 * between attempts to connect is longer than 625 ms. A later process costs its own tasks time, see {@link FailoverGuard}.
 */
const SETTLE_MS = 750;

/**
 * Time for which claims are checked after all dead processes can be recognised (ms). By then the old announcements on the
 * new master have run out, and leases can be judged.
 */
const LATE_MS = 5000;

/** A link that claims. */
type GuardedLink = Link<"registry" | "replies">;

/** The failovers that one connection has found. */
interface Watched {
  /** Mono ms of the latest failover, or of the start of the watch. */
  since: number;
  /** False until a failover: a worker that has just started does not know of one, and has no other reason to doubt. */
  moved: boolean;
  /** Gateway tag -> server on which it has settled. */
  readonly settled: Map<string, string>;
}

export interface FailoverGuardOptions {
  readonly ambient: Pick<Ambient, "mono">;
  readonly acknowledger: Pick<Acknowledger, "add" | "hasEnded">;
  readonly leaseJudge: Pick<LeaseJudge, "check">;
  readonly leaseMs: number;
}

/** Relation of a gateway to the server that offers a task of its own. */
type Standing =
  /** It has removed again on this server what it removed last: its open tasks have a reply stream, on a cluster, too. */
  | "settled"
  /** An older gateway, or a Redis that does not report its run. */
  | "unknown"
  /** It has not found the server yet. */
  | "behind"
  /** It has not announced itself on this server, or its announcement has run out. */
  | "absent";

interface Claimed {
  readonly queued: QueuedTask;
  /** "" for an entry that is no task. */
  readonly task: string;
  readonly standing: Standing;
}

/**
 * Keeps tasks from backends that are over, though Redis does not know it. A new master may never have heard of the last
 * removals. A server that lost its power has forgotten them. The process that removed a task removes it again when
 * it is back. No fixed time is long enough to wait for that: a task may run when its gateway says that it has removed
 * all, or when the gateway is gone.
 *
 * One guard serves all connections of a worker that claim. Each connection finds a failover by itself, and only its own
 * claims pause and are checked. One connection that breaks again and again must not stop the others.
 */
export class FailoverGuard {
  readonly #options: FailoverGuardOptions;
  /** Time after a failover in which claims are checked (ms). */
  readonly #checkedMs: number;
  readonly #watched = new WeakMap<Connection, Watched>();
  #onUndecided: () => void = () => {};

  constructor(options: FailoverGuardOptions) {
    this.#options = options;
    this.#checkedMs = Math.max(PRESENCE_MS, 1.5 * options.leaseMs) + LATE_MS;
  }

  /** Watches a connection that claims. Its claims are checked for a while, as those after a failover. */
  watch(connection: Connection): void {
    const { mono } = this.#options.ambient;
    const watched: Watched = { since: mono(), moved: false, settled: new Map() };
    this.#watched.set(connection, watched);
    connection.onReconnect((moved) => {
      if (!moved) return;
      watched.since = mono();
      watched.moved = true;
      watched.settled.clear();
    });
  }

  /** Sets the listener for tasks that may not run yet: they stay with this worker, which is to find them again. */
  onUndecided(listener: () => void): void {
    this.#onUndecided = listener;
  }

  /** Time for which no task should be claimed over a connection (ms); 0 as a rule. */
  settleMs(connection: Connection): number {
    const { moved, since } = this.#of(connection);
    return moved ? Math.max(0, since + SETTLE_MS - this.#options.ambient.mono()) : 0;
  }

  /** A connection that is not watched yet is from now on: no claim goes unchecked. */
  #of(connection: Connection): Watched {
    const known = this.#watched.get(connection);
    if (known !== undefined) return known;
    this.watch(connection);
    return this.#of(connection);
  }

  /** Returns true for a delivery that ended here, which a new master may not know. It is then acknowledged again. */
  endedHere({ model, entry }: QueuedTask, task: string): boolean {
    const { acknowledger } = this.#options;
    if (!acknowledger.hasEnded({ task, entry })) return false;
    acknowledger.add(model, entry, task);
    return true;
  }

  /**
   * Returns the tasks, of some just claimed over this link, that may run. It acknowledges the ones that are over.
   * The state of others is unknown yet, see {@link onUndecided}. Never rejects.
   */
  async filterRunnable(link: GuardedLink, tasks: readonly QueuedTask[]): Promise<readonly QueuedTask[]> {
    const watched = this.#of(link.connection);
    if (tasks.length === 0 || this.#options.ambient.mono() > watched.since + this.#checkedMs) return tasks;
    const claimed = await this.#withStandings(link, tasks);
    // Only now: a reply that a gateway removes before it reports that is missing.
    const over = await this.#over(link, claimed);
    for (const { queued, task } of over) this.#options.acknowledger.add(queued.model, queued.entry, task);
    const left = claimed.filter((one) => !over.has(one));
    const sure = left.filter(
      ({ standing }) => standing !== "behind" && !(watched.moved && standing === "absent"),
    );
    if (sure.length < left.length) this.#onUndecided();
    return sure.map(({ queued }) => queued);
  }

  async #withStandings(link: GuardedLink, tasks: readonly QueuedTask[]): Promise<readonly Claimed[]> {
    const claimed = tasks.map((queued) => ({ queued, task: taskIdOf(queued.payload) ?? "" }));
    const tags = new Set(claimed.map(({ task }) => tagOf(task)));
    const standings = await this.#standings(link, [...tags]);
    return claimed.map(({ queued, task }) => {
      // An entry that is no task becomes a dead letter when it is run.
      return { queued, task, standing: task === "" ? "unknown" : (standings.get(tagOf(task)) ?? "behind") };
    });
  }

  async #standings(link: GuardedLink, tags: readonly string[]): Promise<ReadonlyMap<string, Standing>> {
    const { registry, replies } = link.stores;
    const { settled } = this.#of(link.connection);
    const isSettled = (tag: string): boolean => {
      const server = settled.get(tag);
      return server !== undefined && server === replies.serverOf(tag);
    };
    const open = tags.filter((tag) => !isSettled(tag));
    try {
      const servers = await registry.serversOfGateways(open);
      return new Map(
        tags.map((tag) => [tag, isSettled(tag) ? "settled" : this.#standing(link, tag, servers)]),
      );
    } catch {
      // Away again: the next check decides.
      return new Map();
    }
  }

  #standing(
    { connection, stores }: GuardedLink,
    tag: string,
    servers: ReadonlyMap<string, string | undefined>,
  ): Standing {
    if (!servers.has(tag)) return "absent";
    const here = stores.replies.serverOf(tag);
    const server = servers.get(tag);
    if (here === undefined || server === undefined) return "unknown";
    if (server !== here) return "behind";
    this.#of(connection).settled.set(tag, here);
    return "settled";
  }

  /** Returns the tasks that ended here, or whose client is gone. */
  async #over(
    { connection, stores }: GuardedLink,
    claimed: readonly Claimed[],
  ): Promise<ReadonlySet<Claimed>> {
    const { acknowledger } = this.#options;
    const watched = this.#of(connection);
    const tasks = claimed.map(({ task }) => task);
    const open: ReadonlySet<string> = await stores.replies.openAmong(tasks).catch(() => new Set(tasks));
    const isAbsent = watched.moved && claimed.some(({ standing }) => standing === "absent");
    const isLost = isAbsent && (await this.#absentAreGone(watched.since));
    const isOver = ({ queued: { entry }, task, standing }: Claimed): boolean => {
      if (task === "") return false;
      // A worker that started after a failover does not know of it: only the report of the gateway counts.
      if (!watched.moved) return standing === "settled" && !open.has(task);
      if (acknowledger.hasEnded({ task, entry }) || (isLost && standing === "absent")) return true;
      // A reply is opened before its task is queued: on one server a missing reply was unlinked. On a cluster it may
      // be about to be opened again, until its gateway has reported that all are.
      return !open.has(task) && (standing === "settled" || !connection.sharded);
    };
    return new Set(claimed.filter(isOver));
  }

  /** All live gateways announce themselves more often than this waits. */
  async #absentAreGone(since: number): Promise<boolean> {
    const { ambient, leaseJudge } = this.#options;
    return ambient.mono() > since + PRESENCE_MS && (await leaseJudge.check());
  }
}
