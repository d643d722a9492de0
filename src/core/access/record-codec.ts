import { isObject } from "../json.ts";
import type { Json, JsonObject } from "../json.ts";
import type { KeyRecord, TenantRecord } from "./key-record.ts";
import { isKeyId, KEY_MEMBERS, TENANT_MEMBERS } from "./record-members.ts";
import type { RecordMember } from "./record-members.ts";

/**
 * Reads the records of keys and tenants as Redis has them. Unknown members are kept: a later version may have written
 * them. One malformed member spoils the whole record: a key without a part of its bounds would have too many rights.
 */

/** Id of the record that says whether requests without a key are served. */
export const ANONYMOUS_ID = "anonymous";

/** Says whether requests without a key are served while no client key works. */
export interface AnonymousAccess {
  readonly allowed: boolean;
}

const TENANT_PREFIX = "t:";

/** The name in the id of a tenant's record; undefined for another id. */
export function tenantNameIn(id: string): string | undefined {
  return id.startsWith(TENANT_PREFIX) ? id.slice(TENANT_PREFIX.length) : undefined;
}

/** Id of a tenant's record. @param name see {@link TenantRecord} */
export function tenantIdOf(name: string): string {
  return `${TENANT_PREFIX}${name}`;
}

/** A record, by its kind. */
export type AccessRecord =
  | { readonly kind: "key"; readonly key: KeyRecord }
  | { readonly kind: "tenant"; readonly tenant: TenantRecord }
  | { readonly kind: "anonymous"; readonly access: AnonymousAccess }
  | { readonly kind: "other" };

/**
 * Reads a record; undefined for a malformed one. A kind that only later versions know is `other`.
 * @param id its id in Redis, which tells the kind
 */
export function readAccessRecord(id: string, json: string): AccessRecord | undefined {
  if (id !== ANONYMOUS_ID && !id.startsWith(TENANT_PREFIX) && !isKeyId(id)) return { kind: "other" };
  const value = parsed(json);
  if (!isObject(value)) return undefined;
  if (id === ANONYMOUS_ID) {
    const allowed = own(value, "allowed");
    return typeof allowed === "boolean" ? { kind: "anonymous", access: { allowed } } : undefined;
  }
  if (id.startsWith(TENANT_PREFIX)) {
    const tenant = readTenantRecord(value);
    return tenant !== undefined && tenantIdOf(tenant.name) === id ? { kind: "tenant", tenant } : undefined;
  }
  const key = readKeyRecord(value);
  return key !== undefined && key.id === id ? { kind: "key", key } : undefined;
}

const KEY_NEEDS = ["id", "name", "digest", "hint", "role", "models", "created"] as const;
const TENANT_NEEDS = ["name", "created"] as const;

/** Returns undefined for a malformed record. A record without a tenant belongs to the tenant of its id. */
export function readKeyRecord(value: JsonObject): KeyRecord | undefined {
  if (!conforms(value, KEY_MEMBERS, KEY_NEEDS)) return undefined;
  const tenant = own(value, "tenant") ?? value["id"];
  return { ...value, tenant } as unknown as KeyRecord;
}

/** Returns undefined for a malformed record. */
export function readTenantRecord(value: JsonObject): TenantRecord | undefined {
  return conforms(value, TENANT_MEMBERS, TENANT_NEEDS) ? (value as unknown as TenantRecord) : undefined;
}

/** Writes a record. A tenant that is the key's own id is left out. */
export function encodeKeyRecord(record: KeyRecord): string {
  const { tenant, ...rest } = record;
  return JSON.stringify(tenant === record.id ? rest : record);
}

function conforms(
  value: JsonObject,
  members: Readonly<Record<string, RecordMember>>,
  needs: readonly string[],
): boolean {
  return (
    needs.every((name) => own(value, name) !== undefined) &&
    Object.entries(members).every(([name, member]) => {
      const given = own(value, name);
      return given === undefined || member.accepts(given);
    })
  );
}

function own(value: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
