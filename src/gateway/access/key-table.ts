import { isUsable } from "../../core/access/key-record.ts";
import type { KeyRecord, TenantRecord } from "../../core/access/key-record.ts";
import type { Principal } from "../../core/access/principal.ts";
import { ANONYMOUS_ID, readAccessRecord, tenantIdOf, tenantNameIn } from "../../core/access/record-codec.ts";
import type { AccessRecord } from "../../core/access/record-codec.ts";
import type { StoredRecord } from "../../redis/access/access-records.ts";

/** A record as it was read. One without `content` is malformed. */
interface KnownRecord extends StoredRecord {
  readonly content: AccessRecord | undefined;
}

/**
 * All records of keys and tenants in memory. A malformed record grants nothing: its key is unknown, and keys of a
 * malformed tenant are refused, since their bounds are unknown. Like a client key, it refuses requests without a key.
 */
export class KeyTable {
  readonly #records = new Map<string, KnownRecord>();
  /** SHA-256 of a secret in hex -> id of its key. */
  readonly #digests = new Map<string, string>();
  /** Id of a key -> principal, until a tenant changes. */
  readonly #principals = new Map<string, Principal>();
  /** Keys that are clients' and not revoked, and malformed records. */
  readonly #closing = new Set<string>();

  get size(): number {
    return this.#records.size;
  }

  /** True when no secret is known. */
  get isEmpty(): boolean {
    return this.#digests.size === 0;
  }

  /** True when requests without a key are refused. */
  get refusesAnonymous(): boolean {
    if (this.#closing.size > 0) return true;
    const access = this.#records.get(ANONYMOUS_ID)?.content;
    return access?.kind === "anonymous" && !access.access.allowed;
  }

  get records(): Iterable<StoredRecord> {
    return this.#records.values();
  }

  get(id: string): StoredRecord | undefined {
    return this.#records.get(id);
  }

  /** The key of an id; undefined for another record, and for a malformed one. */
  keyOf(id: string): KeyRecord | undefined {
    const content = this.#records.get(id)?.content;
    return content?.kind === "key" ? content.key : undefined;
  }

  /** Ms since 1970 when a key was revoked, or a tenant removed; undefined for all others. */
  disabledAt(id: string): number | undefined {
    const content = this.#records.get(id)?.content;
    if (content?.kind === "key") return content.key.disabled;
    return content?.kind === "tenant" ? content.tenant.disabled : undefined;
  }

  /** Takes a record in. Returns false for a malformed one. */
  put(stored: StoredRecord): boolean {
    const { id, version, json } = stored;
    const before = this.#records.get(id);
    if (before?.json === json) {
      this.#records.set(id, { ...before, version });
      return true;
    }
    this.delete(id);
    const content = readAccessRecord(id, json);
    this.#records.set(id, { id, version, json, content });
    if (content === undefined && tenantNameIn(id) === undefined) this.#closing.add(id);
    if (content?.kind === "key") this.#addKey(content.key);
    return content !== undefined;
  }

  delete(id: string): void {
    const content = this.#records.get(id)?.content;
    if (content?.kind === "key") {
      for (const digest of digestsOf(content.key)) {
        if (this.#digests.get(digest) === id) this.#digests.delete(digest);
      }
    }
    this.#closing.delete(id);
    this.#records.delete(id);
    if (tenantNameIn(id) === undefined) this.#principals.delete(id);
    else this.#principals.clear();
  }

  /**
   * The principal of a secret; undefined when its key is unknown, revoked or expired.
   * @param digest SHA-256 of the secret, hex
   * @param now ms since 1970
   */
  find(digest: string, now: number): Principal | undefined {
    // The time of this look-up depends on the digest only. A client cannot choose secrets whose digests come ever
    // nearer to a given one. So no series of times leads to a secret.
    const id = this.#digests.get(digest);
    const key = id === undefined ? undefined : this.keyOf(id);
    if (key === undefined || !isUsable(key, now)) return undefined;
    if (digest !== key.digest && (key.former === undefined || key.former.until <= now)) return undefined;
    return this.#principals.get(key.id) ?? this.#join(key);
  }

  #addKey(key: KeyRecord): void {
    if (key.disabled !== undefined) return;
    for (const digest of digestsOf(key)) this.#digests.set(digest, key.id);
    if (key.role === "client") this.#closing.add(key.id);
  }

  #join(key: KeyRecord): Principal | undefined {
    const known = this.#records.get(tenantIdOf(key.tenant));
    if (known !== undefined && known.content === undefined) return undefined;
    const tenant = known?.content?.kind === "tenant" ? known.content.tenant : undefined;
    const principal = { role: key.role, key, ...(isActive(tenant) ? { tenant } : {}) };
    this.#principals.set(key.id, principal);
    return principal;
  }
}

function isActive(tenant: TenantRecord | undefined): tenant is TenantRecord {
  return tenant !== undefined && tenant.disabled === undefined;
}

function digestsOf({ digest, former }: KeyRecord): readonly string[] {
  return former === undefined ? [digest] : [digest, former.digest];
}
