import { boundedEntry, isAuditEntry } from "../core/access/audit-entry.ts";
import type { AuditEntry, DatedAuditEntry } from "../core/access/audit-entry.ts";
import type { Connection } from "./connection/connection.ts";
import { asEntries, asJson } from "./connection/resp.ts";
import type { Keys } from "./keys.ts";

/** Entries kept, about: they take some 4 MB of Redis's memory. */
const KEPT = "10000";

/** Most entries of one reading. */
export const MOST_AUDITED = 1000;

/** The log of actions of admins: keys, tenants, workers, dead letters, models. */
export class AuditLog {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** Appends an entry. Redis gives it its time. */
  async append(entry: AuditEntry): Promise<void> {
    const text = JSON.stringify(boundedEntry(entry));
    await this.#connection.command("XADD", this.#keys.audit(), "MAXLEN", "~", KEPT, "*", "e", text);
  }

  /**
   * Reads entries, the newest first.
   * @param range.before id of an entry: only older ones; @param range.count at most {@link MOST_AUDITED}
   */
  async latest(range: { readonly before?: string; readonly count: number }): Promise<DatedAuditEntry[]> {
    const from = range.before === undefined ? "+" : `(${range.before}`;
    const count = String(Math.min(range.count, MOST_AUDITED));
    const reply = await this.#connection.command("XREVRANGE", this.#keys.audit(), from, "-", "COUNT", count);
    return asEntries(reply).flatMap(({ id, fields }) => {
      const value = asJson(fields[1]);
      return isAuditEntry(value) ? [{ ...value, id, at: Number(id.split("-", 1)[0]) }] : [];
    });
  }
}
