import type { KeyRecord, TenantRecord } from "../../core/access/key-record.ts";
import { readAccessRecord } from "../../core/access/record-codec.ts";
import type { StoredRecord } from "./access-records.ts";

/** A key with its version, which a later change may name. */
export interface StoredKey {
  readonly version: number;
  readonly key: KeyRecord;
}

/** A tenant with its version. */
export interface StoredTenant {
  readonly version: number;
  readonly tenant: TenantRecord;
}

/** The key of a stored record; undefined for another kind, or a malformed one. */
export function keyIn({ id, version, json }: StoredRecord): StoredKey | undefined {
  const record = readAccessRecord(id, json);
  return record?.kind === "key" ? { version, key: record.key } : undefined;
}

/** The tenant of a stored record; undefined for another kind, or a malformed one. */
export function tenantIn({ id, version, json }: StoredRecord): StoredTenant | undefined {
  const record = readAccessRecord(id, json);
  return record?.kind === "tenant" ? { version, tenant: record.tenant } : undefined;
}

/** True for a client key that is not revoked. */
export function isWorkingClient(stored: StoredRecord): boolean {
  const key = keyIn(stored)?.key;
  return key !== undefined && key.role === "client" && key.disabled === undefined;
}

/** True for the record that lets requests without a key in. */
export function isAllowed({ id, json }: StoredRecord): boolean {
  const record = readAccessRecord(id, json);
  return record?.kind === "anonymous" && record.access.allowed;
}
