import type { Principal } from "../../core/access/principal.ts";
import { systemAmbient } from "../../core/ambient.ts";
import type { Ambient } from "../../core/ambient.ts";
import { toFault } from "../../core/fault.ts";
import type { Fault } from "../../core/fault.ts";
import type { AccessRecords, RecordReading, StoredRecord } from "../../redis/access/access-records.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { Stores } from "../../redis/stores.ts";
import type { Log } from "../../telemetry/log.ts";
import type { RecordedKeys } from "../http/keyring.ts";
import { KeyTable } from "./key-table.ts";

export interface KeyDirectoryOptions {
  readonly records: Pick<AccessRecords, "all" | "changedSince" | "restore" | "write" | "nudge">;
  readonly ambient: Pick<Ambient, "now" | "mono">;
  readonly log: Pick<Log, "warn">;
}

/** Pause between two looks for changes, ms: a revoked key is refused within 4 s when messages are lost. */
export const KEY_POLL_MS = 3000;

/** Looks for changes until all records are read anew. */
const POLLS_PER_READING = 20;

/** Time that the record of a revoked key or a removed tenant remains, ms. The script KEYSET has the same time. */
const DISABLED_LIFE_MS = 86_400_000;

/**
 * Longest time without a look after which a record that Redis lacks counts as lost, ms. It is below
 * {@link DISABLED_LIFE_MS}: a record that was removed on purpose was seen disabled before.
 */
const MOST_BLIND_MS = DISABLED_LIFE_MS / 2;

/** Time after which a record is removed once it need not remain, ms: clocks of gateways may differ. */
const REMOVAL_MARGIN_MS = 3_600_000;

/** Most records that one look removes. */
const MOST_REMOVED = 100;

/**
 * The keys with records, as this gateway knows them: the whole table, in memory. It looks for changes at intervals, and
 * at once after a message. Records that Redis has lost stay valid, and are written back: an emptied Redis opens no door.
 */
export class KeyDirectory implements RecordedKeys {
  readonly #options: KeyDirectoryOptions;
  readonly #table = new KeyTable();
  /** The newest version that was read. */
  #newest = 0;
  /** Wall clock and monotonic ms of the last look. */
  #lookedAt: { readonly now: number; readonly mono: number } | undefined;
  #polls = 0;
  #wantsAll = true;
  #wanted = false;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasFailed = false;

  constructor(options: KeyDirectoryOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#table.isEmpty;
  }

  get hasClients(): boolean {
    return this.#table.refusesAnonymous;
  }

  find(digest: Buffer): Principal | undefined {
    return this.#table.find(digest.toString("hex"), this.#options.ambient.now());
  }

  /**
   * Loads all records, then follows their changes. Rejects when they cannot be read: a gateway that does not know its
   * keys must not serve.
   * @param channel records of a connection for subscriptions
   * @param connection the connection of all other commands
   */
  async start(
    channel: Pick<AccessRecords, "onNudge">,
    connection: Pick<Connection, "onReconnect">,
  ): Promise<void> {
    await channel.onNudge(() => {
      this.#lookSoon(false);
    });
    connection.onReconnect((moved) => {
      this.#lookSoon(moved);
    });
    await this.look();
    // Another gateway may know records that Redis has lost. It then writes them back at once.
    if (this.#table.size === 0) await this.#options.records.nudge();
    this.#timer = setInterval(() => {
      this.#polls += 1;
      this.#lookSoon(this.#table.size > 0 && this.#polls % POLLS_PER_READING === 0);
    }, KEY_POLL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks for changes now. A look that is under way is followed by another one. */
  async look(): Promise<void> {
    this.#wanted = true;
    this.#running ??= this.#lookWhileWanted().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  #lookSoon(all: boolean): void {
    this.#wantsAll ||= all;
    this.look().catch((error: unknown) => {
      this.#warnOnce(toFault(error));
    });
  }

  async #lookWhileWanted(): Promise<void> {
    while (this.#wanted) {
      this.#wanted = false;
      await this.#lookOnce();
    }
    this.#hasFailed = false;
  }

  async #lookOnce(): Promise<void> {
    const { records, ambient } = this.#options;
    const at = { now: ambient.now(), mono: ambient.mono() };
    if (this.#wantsAll || !this.#follow(await records.changedSince(this.#newest))) {
      this.#wantsAll = true;
      await this.#readAll();
      this.#wantsAll = false;
    }
    this.#lookedAt = at;
  }

  /** Takes changes in. Returns false when they do not lead from what is known here to what Redis has. */
  #follow({ newest = 0, count, records }: RecordReading): boolean {
    if (newest < this.#newest) return false;
    // A newest version without a record tells that records were written back, or removed.
    const isComplete = newest === this.#newest || records.some(({ version }) => version === newest);
    if (!isComplete) return false;
    for (const stored of records) this.#put(stored);
    this.#newest = newest;
    return this.#table.size === count;
  }

  async #readAll(): Promise<void> {
    const { records, log } = this.#options;
    let reading = await records.all();
    const lost = this.#lostFrom(reading);
    if (lost.length > 0) {
      const written = await records.restore(lost, (id) => this.#nameOf(id));
      if (written > 0)
        log.warn("Redis had lost records of keys: they are written back", { records: written });
      reading = await records.all();
    }
    this.#replace(reading);
    await this.#removeOld(reading);
  }

  /** The records here that Redis has lost, or has in an earlier version. */
  #lostFrom({ newest, records }: RecordReading): readonly StoredRecord[] {
    const theirs = new Map(records.map(({ id, version }) => [id, version]));
    const trustsOwn = newest === undefined || !this.#wasBlind();
    return Array.from(this.#table.records).filter(({ id, version }) => {
      const known = theirs.get(id);
      return known === undefined ? trustsOwn && !this.#isOver(id) : known < version;
    });
  }

  /** True when a record may have been revoked and removed since the last look. */
  #wasBlind(): boolean {
    if (this.#lookedAt === undefined) return true;
    const { now, mono } = this.#options.ambient;
    const blindMs = Math.max(now() - this.#lookedAt.now, mono() - this.#lookedAt.mono);
    return blindMs > MOST_BLIND_MS;
  }

  #replace(reading: RecordReading): void {
    const kept = new Set([...reading.records, ...this.#lostFrom(reading)].map(({ id }) => id));
    for (const { id } of Array.from(this.#table.records)) if (!kept.has(id)) this.#table.delete(id);
    for (const stored of reading.records) {
      if (stored.version >= (this.#table.get(stored.id)?.version ?? 0)) this.#put(stored);
    }
    this.#newest = reading.newest ?? 0;
  }

  #put(stored: StoredRecord): void {
    if (this.#table.put(stored)) return;
    const { id, version } = stored;
    this.#options.log.warn("a record of a key or a tenant cannot be read: it grants nothing", {
      id,
      version,
    });
  }

  /** True for a record that has been disabled long enough to be removed. */
  #isOver(id: string, marginMs = 0): boolean {
    const disabled = this.#table.disabledAt(id);
    if (disabled === undefined) return false;
    return this.#options.ambient.now() - disabled > DISABLED_LIFE_MS + marginMs;
  }

  /** Removes records that have been disabled for a day. Several gateways try it, and one of them does it. */
  async #removeOld({ records }: RecordReading): Promise<void> {
    const old = records.filter(({ id }) => this.#isOver(id, REMOVAL_MARGIN_MS)).slice(0, MOST_REMOVED);
    for (const { id, version } of old) {
      const outcome = await this.#options.records.write({ id, expected: version, json: "" });
      if (typeof outcome !== "number") continue;
      this.#table.delete(id);
    }
  }

  #nameOf(id: string): string {
    const key = this.#table.keyOf(id);
    return key === undefined || key.disabled !== undefined ? "" : key.name;
  }

  /** While Redis is away the last records stand, and its outage is logged elsewhere. */
  #warnOnce(fault: Fault): void {
    if (fault.code === "redis_down" || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.log.warn("the records of keys cannot be read: the last ones stand", {
      reason: fault.message,
    });
  }
}

/** The connections of a gateway to the records. */
interface RecordLinks {
  readonly commands: Pick<Connection, "onReconnect">;
  readonly stores: Pick<Stores, "access">;
  /** Stores of a connection for subscriptions. */
  readonly listening: Pick<Stores, "access">;
}

/** Opens the directory of a gateway. Rejects when the records cannot be read. */
export async function openKeyDirectory(
  { commands, stores, listening }: RecordLinks,
  { log, releases }: { readonly log: Log; readonly releases: (() => void)[] },
): Promise<KeyDirectory> {
  const directory = new KeyDirectory({ records: stores.access, ambient: systemAmbient, log });
  releases.push(() => {
    directory.stop();
  });
  await directory.start(listening.access, commands);
  return directory;
}
