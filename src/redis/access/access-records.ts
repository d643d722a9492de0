import type { Connection } from "../connection/connection.ts";
import { asArray, asText } from "../connection/resp.ts";
import type { Keys } from "../keys.ts";
import { KEY_RESTORE, KEYSET, run } from "../scripts.ts";

/** A record as Redis has it. */
export interface StoredRecord {
  readonly id: string;
  /** Grows with each change of any record. */
  readonly version: number;
  readonly json: string;
}

/** Records of one reading, and the state of the whole table then. */
export interface RecordReading {
  /** The newest version of all; undefined when Redis has no table. */
  readonly newest: number | undefined;
  /** Number of records in the table. */
  readonly count: number;
  readonly records: readonly StoredRecord[];
}

/** One write of a record. */
export interface RecordWrite {
  readonly id: string;
  /** The version that was read; 0 when the record must be new. */
  readonly expected: number;
  /** Empty: the record is removed. */
  readonly json: string;
  /** The name that a key holds from now on, and the one that it held. Absent: none. */
  readonly name?: string;
  readonly formerName?: string;
  /** JSON of the record of anonymous access, written with this one. Absent: it stays. */
  readonly closed?: string;
}

/** The outcome of a write: its version, or the reason why nothing changed. */
export type WriteOutcome = number | "outdated" | "name-taken";

/** Message on the channel of the fleet: records have changed. */
const NUDGE = "keys";

/** Most records in one command. */
const PAGE = 200;

/** The records of keys and tenants, each with a version. */
export class AccessRecords {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** Reads all records. */
  async all(): Promise<RecordReading> {
    const [versions, values] = await Promise.all([
      // The versions come first: a record is then never older than its version says.
      this.#connection.command("ZRANGE", this.#keys.accessVersions(), "0", "-1", "WITHSCORES"),
      this.#connection.command("HGETALL", this.#keys.accessRecords()),
    ]);
    const texts = asArray(values).map(asText);
    const jsons = new Map<string, string>();
    for (let at = 0; at + 1 < texts.length; at += 2) jsons.set(texts[at] ?? "", texts[at + 1] ?? "");
    const { newest, members } = versionsOf(versions);
    const records = members.flatMap(({ id, version }) => {
      const json = jsons.get(id);
      return json === undefined ? [] : [{ id, version, json }];
    });
    return { newest, count: members.length, records };
  }

  /** Reads the records of this version and of later ones. One command when there are none. */
  async changedSince(version: number): Promise<RecordReading> {
    const key = this.#keys.accessVersions();
    const [scores, count] = await Promise.all([
      this.#connection.command("ZRANGEBYSCORE", key, String(version), "+inf", "WITHSCORES"),
      this.#connection.command("ZCARD", key),
    ]);
    const { newest, members } = versionsOf(scores);
    const changes = members.filter((member) => member.version > version);
    const known = newest === undefined ? 0 : 1;
    return { newest, count: Math.max(0, Number(count) - known), records: await this.#valuesOf(changes) };
  }

  /** Reads one record; undefined when there is none. */
  async read(id: string): Promise<StoredRecord | undefined> {
    const [score, value] = await Promise.all([
      this.#connection.command("ZSCORE", this.#keys.accessVersions(), id),
      this.#connection.command("HGET", this.#keys.accessRecords(), id),
    ]);
    if (!Buffer.isBuffer(score) || !Buffer.isBuffer(value)) return undefined;
    return { id, version: Number(asText(score)), json: asText(value) };
  }

  /** The id of the key that works under this name; undefined for none. */
  async idOfName(name: string): Promise<string | undefined> {
    const id = asText(await this.#connection.command("HGET", this.#keys.accessNames(), name));
    return id === "" ? undefined : id;
  }

  /** Writes one record, unless it has changed since it was read. Tells all gateways. */
  async write(write: RecordWrite): Promise<WriteOutcome> {
    const { id, expected, json, name = "", formerName = "", closed } = write;
    const args = [id, String(expected), json, name, formerName, ...(closed === undefined ? [] : [closed])];
    const version = Number(await run(this.#connection, KEYSET, this.#table, args));
    if (version === 0) return "outdated";
    if (version < 0) return "name-taken";
    await this.nudge();
    return version;
  }

  /**
   * Writes records back that Redis has lost. Resolves with the number of those that it lacked.
   * @param nameOf the name that a record holds, by its id; empty for none
   */
  async restore(records: readonly StoredRecord[], nameOf: (id: string) => string): Promise<number> {
    let written = 0;
    for (let at = 0; at < records.length; at += PAGE) {
      const page = records.slice(at, at + PAGE);
      const args = page.flatMap(({ id, version, json }) => [id, String(version), json, nameOf(id)]);
      written += Number(await run(this.#connection, KEY_RESTORE, this.#table, args));
    }
    if (written > 0) await this.nudge();
    return written;
  }

  /** Makes all gateways look for changes now. A message that is lost does no harm: they look at intervals. */
  async nudge(): Promise<void> {
    await this.#connection.command("PUBLISH", this.#keys.fleet(), NUDGE).catch(() => undefined);
  }

  /** Calls the listener after records have changed. Messages may be lost: this only saves time. */
  async onNudge(listener: () => void): Promise<void> {
    await this.#connection.subscribe(this.#keys.fleet(), (message) => {
      if (asText(message) === NUDGE) listener();
    });
  }

  get #table(): readonly string[] {
    const keys = this.#keys;
    return [keys.accessRecords(), keys.accessVersions(), keys.accessNames()];
  }

  async #valuesOf(members: readonly Version[]): Promise<readonly StoredRecord[]> {
    const found: StoredRecord[] = [];
    for (let at = 0; at < members.length; at += PAGE) {
      const page = members.slice(at, at + PAGE);
      const ids = page.map(({ id }) => id);
      const values = asArray(await this.#connection.command("HMGET", this.#keys.accessRecords(), ...ids));
      for (const [index, { id, version }] of page.entries()) {
        const value = values[index];
        if (Buffer.isBuffer(value)) found.push({ id, version, json: asText(value) });
      }
    }
    return found;
  }
}

interface Version {
  readonly id: string;
  readonly version: number;
}

/** Parts the newest version, which has no name, from those of the records. */
function versionsOf(reply: unknown): { readonly newest: number | undefined; readonly members: Version[] } {
  const texts = asArray(reply).map(asText);
  const members: Version[] = [];
  let newest: number | undefined;
  for (let at = 0; at + 1 < texts.length; at += 2) {
    const [id = "", version] = [texts[at], Number(texts[at + 1])];
    if (id === "") newest = version;
    else members.push({ id, version });
  }
  return { newest, members };
}
