import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { KeyRecord, TenantRecord } from "../../core/access/key-record.ts";
import { ANONYMOUS_ID, encodeKeyRecord, tenantIdOf } from "../../core/access/record-codec.ts";
import {
  changed,
  checkKeyChanges,
  checkTenantChanges,
  checkTenantName,
} from "../../core/access/record-changes.ts";
import { isKeyId } from "../../core/access/record-members.ts";
import type { AccessRecords, RecordWrite } from "./access-records.ts";
import { newKeyId, newSecret, secretFacts } from "./key-issue.ts";
import { isAllowed, isWorkingClient, keyIn, tenantIn } from "./stored-records.ts";
import type { StoredKey, StoredTenant } from "./stored-records.ts";

/** A key with its secret, which is told this one time. */
export interface IssuedKey extends StoredKey {
  readonly secret: string;
}

/** Most tries of a change whose record others change at the same time. */
const MOST_TRIES = 5;

/** Longest time that a former secret works after a rotation, ms. */
export const MOST_OVERLAP_MS: number = 90 * 86_400_000;

const REFUSED = JSON.stringify({ id: ANONYMOUS_ID, allowed: false });
const ALLOWED = JSON.stringify({ id: ANONYMOUS_ID, allowed: true });

/**
 * Creates and changes the records of keys and tenants, for commands and for the admin API. Every method rejects with a
 * Fault: `invalid_request`, `record_not_found`, `conflict`, or `redis_down`.
 */
export class KeyAdministration {
  readonly #records: AccessRecords;
  readonly #now: () => number;

  /** @param now ms since 1970 */
  constructor(records: AccessRecords, now: () => number) {
    this.#records = records;
    this.#now = now;
  }

  /** All keys that can be read, by name; revoked ones last. */
  async keys(): Promise<readonly StoredKey[]> {
    const { records } = await this.#records.all();
    const keys = records.flatMap((stored) => keyIn(stored) ?? []);
    return keys.toSorted((a, b) => orderOf(a.key).localeCompare(orderOf(b.key)));
  }

  /** Finds a key by its id, or by the name that it works under. */
  async key(idOrName: string): Promise<StoredKey> {
    const id = isKeyId(idOrName) ? idOrName : await this.#records.idOfName(idOrName);
    const stored = id === undefined ? undefined : await this.#records.read(id);
    const found = stored === undefined ? undefined : keyIn(stored);
    if (found === undefined) throw new Fault("record_not_found", `there is no key '${idOrName}'`);
    return found;
  }

  /**
   * Creates a key. Requests without a key are refused from then on if it is a client's.
   * @param fields members of a key ({@link checkKeyChanges}), and `weight` of its tenant
   */
  async create(fields: JsonObject): Promise<IssuedKey> {
    const { weight, ...members } = fields;
    const changes = checkKeyChanges(members);
    if (changes["name"] === undefined) throw new Fault("invalid_request", "a key needs a name");
    this.#checkExpiry(changes);
    const secret = newSecret();
    const id = newKeyId();
    const start = {
      id,
      tenant: id,
      role: "client",
      models: ["*"],
      created: this.#now(),
      ...secretFacts(secret),
    };
    const key = changed(start as unknown as KeyRecord, changes);
    await this.#requireFreeName(key.name);
    if (weight !== undefined && weight !== null) await this.#putTenant(key.tenant, { weight });
    const version = await this.#write(key.name, { id, expected: 0, ...writeOf(key) });
    return { version, key, secret };
  }

  /**
   * Changes members of a key; null removes one.
   * @param fields as in {@link create}; the weight goes to the tenant that the key then has
   * @param version the version that was read; absent: any
   */
  async set(idOrName: string, fields: JsonObject, version?: number): Promise<StoredKey> {
    const { weight, ...members } = fields;
    const changes = checkKeyChanges(members);
    this.#checkExpiry(changes);
    if (weight !== undefined) checkTenantChanges({ weight });
    const stored = await this.#change(idOrName, version, (key) => changed(key, changes));
    if (weight !== undefined) await this.#putTenant(stored.key.tenant, { weight });
    return stored;
  }

  /**
   * Gives a key another secret.
   * @param overlapMs time that the former secret goes on working; 0 for none
   * @param version see {@link set}
   */
  async rotate(idOrName: string, overlapMs: number, version?: number): Promise<IssuedKey> {
    if (!Number.isSafeInteger(overlapMs) || overlapMs < 0 || overlapMs > MOST_OVERLAP_MS) {
      throw new Fault("invalid_request", "the overlap must be a time from 0 to 90 days");
    }
    const secret = newSecret();
    const until = this.#now() + overlapMs;
    const stored = await this.#change(idOrName, version, (key) => {
      const { former: _former, ...rest } = key;
      const former = overlapMs === 0 ? {} : { former: { digest: key.digest, until } };
      return { ...rest, ...secretFacts(secret), ...former };
    });
    return { ...stored, secret };
  }

  /** Revokes a key. Its record remains for a day, its name is free at once. A revoked key stays as it is. */
  async revoke(idOrName: string, version?: number): Promise<StoredKey> {
    const found = await this.key(idOrName);
    if (found.key.disabled !== undefined) return found;
    return this.#change(found.key.id, version, ({ former: _former, ...key }) => ({
      ...key,
      disabled: this.#now(),
    }));
  }

  /** All tenants with a record that can be read, by name. */
  async tenants(): Promise<readonly StoredTenant[]> {
    const { records } = await this.#records.all();
    const tenants = records.flatMap((stored) => tenantIn(stored) ?? []);
    const kept = tenants.filter(({ tenant }) => tenant.disabled === undefined);
    return kept.toSorted((a, b) => a.tenant.name.localeCompare(b.tenant.name));
  }

  async tenant(name: string): Promise<StoredTenant> {
    const found = await this.#findTenant(name);
    if (found === undefined || found.tenant.disabled !== undefined) throw noTenant(name);
    return found;
  }

  /** Creates a tenant's record. @param fields see {@link checkTenantChanges} */
  async createTenant(name: string, fields: JsonObject): Promise<StoredTenant> {
    checkTenantName(name);
    const changes = checkTenantChanges(fields);
    const found = await this.#findTenant(name);
    if (found !== undefined && found.tenant.disabled === undefined) {
      throw new Fault("conflict", `there is a tenant '${name}' already`);
    }
    const tenant = changed({ name, created: this.#now() }, changes);
    return this.#writeTenant(tenant, found?.version ?? 0);
  }

  /** Changes members of a tenant; null removes one. @param version see {@link set} */
  async setTenant(name: string, fields: JsonObject, version?: number): Promise<StoredTenant> {
    const changes = checkTenantChanges(fields);
    return this.#changeTenant(name, version, (tenant) => changed(tenant, changes));
  }

  /** Removes the record of a tenant, and with it its limits. Refused while a key of it works. */
  async removeTenant(name: string, version?: number): Promise<StoredTenant> {
    await this.tenant(name);
    const users = (await this.keys()).filter(({ key }) => key.tenant === name && key.disabled === undefined);
    if (users.length > 0) {
      throw new Fault("conflict", `tenant '${name}' has keys: revoke or move them before it goes`);
    }
    return this.#changeTenant(name, version, (tenant) => ({ ...tenant, disabled: this.#now() }));
  }

  /** True while requests without a key are served, as far as records say. */
  async allowsAnonymous(): Promise<boolean> {
    const { records } = await this.#records.all();
    if (records.some((stored) => isWorkingClient(stored))) return false;
    const stored = records.find(({ id }) => id === ANONYMOUS_ID);
    return stored === undefined || isAllowed(stored);
  }

  /** Serves requests without a key again, after the last client key was revoked. Refused while one is not revoked. */
  async allowAnonymous(): Promise<void> {
    const { records } = await this.#records.all();
    if (records.some((stored) => isWorkingClient(stored))) {
      throw new Fault("conflict", "a client key works: revoke all of them before requests without a key");
    }
    const stored = records.find(({ id }) => id === ANONYMOUS_ID);
    if (stored === undefined || isAllowed(stored)) return;
    await this.#write("", { id: ANONYMOUS_ID, expected: stored.version, json: ALLOWED });
  }

  async #change(
    idOrName: string,
    version: number | undefined,
    edit: (key: KeyRecord) => KeyRecord,
  ): Promise<StoredKey> {
    for (let tries = 1; ; tries += 1) {
      const found = await this.key(idOrName);
      const former = found.key;
      if (former.disabled !== undefined) throw new Fault("conflict", `key '${idOrName}' is revoked`);
      requireVersion(found.version, version);
      const key = edit(former);
      const write = { id: key.id, expected: found.version, ...writeOf(key), formerName: former.name };
      const outcome = await this.#records.write(write);
      if (typeof outcome === "number") return { version: outcome, key };
      if (outcome === "name-taken") throw nameTaken(key.name);
      if (tries >= MOST_TRIES || version !== undefined) throw outdated();
    }
  }

  async #changeTenant(
    name: string,
    version: number | undefined,
    edit: (tenant: TenantRecord) => TenantRecord,
  ): Promise<StoredTenant> {
    for (let tries = 1; ; tries += 1) {
      const found = await this.tenant(name);
      requireVersion(found.version, version);
      const tenant = edit(found.tenant);
      const json = JSON.stringify(tenant);
      const outcome = await this.#records.write({ id: tenantIdOf(name), expected: found.version, json });
      if (typeof outcome === "number") return { version: outcome, tenant };
      if (tries >= MOST_TRIES || version !== undefined) throw outdated();
    }
  }

  /** Changes a tenant, or creates it. */
  async #putTenant(name: string, fields: JsonObject): Promise<void> {
    const found = await this.#findTenant(name);
    if (found === undefined || found.tenant.disabled !== undefined) await this.createTenant(name, fields);
    else await this.setTenant(name, fields);
  }

  async #findTenant(name: string): Promise<StoredTenant | undefined> {
    const stored = await this.#records.read(tenantIdOf(name));
    return stored === undefined ? undefined : tenantIn(stored);
  }

  async #writeTenant(tenant: TenantRecord, expected: number): Promise<StoredTenant> {
    const json = JSON.stringify(tenant);
    return {
      version: await this.#write(tenant.name, { id: tenantIdOf(tenant.name), expected, json }),
      tenant,
    };
  }

  async #write(name: string, write: RecordWrite): Promise<number> {
    const outcome = await this.#records.write(write);
    if (outcome === "name-taken") throw nameTaken(name);
    if (outcome === "outdated") throw outdated();
    return outcome;
  }

  async #requireFreeName(name: string): Promise<void> {
    if ((await this.#records.idOfName(name)) !== undefined) throw nameTaken(name);
  }

  #checkExpiry({ expires }: JsonObject): void {
    if (typeof expires === "number" && expires <= this.#now()) {
      throw new Fault("invalid_request", "expires must lie in the future");
    }
  }
}

/** The part of a write that follows from the key itself. A working client key ends requests without a key. */
function writeOf(key: KeyRecord): Pick<RecordWrite, "json" | "name" | "closed"> {
  const json = encodeKeyRecord(key);
  if (key.disabled !== undefined) return { json };
  return { json, name: key.name, ...(key.role === "client" ? { closed: REFUSED } : {}) };
}

function orderOf({ name, disabled }: KeyRecord): string {
  return `${disabled === undefined ? 0 : 1} ${name}`;
}

function requireVersion(found: number, expected: number | undefined): void {
  if (expected !== undefined && expected !== found) throw outdated();
}

function nameTaken(name: string): Fault {
  return new Fault("conflict", `there is a key '${name}' already`);
}

function outdated(): Fault {
  return new Fault("conflict", "the record has changed in the meantime: read it again");
}

function noTenant(name: string): Fault {
  return new Fault("record_not_found", `there is no tenant '${name}'`);
}
