import type { JsonObject } from "../json.ts";
import { isUsable } from "./key-record.ts";
import type { KeyRecord, TenantRecord } from "./key-record.ts";

/** A key as admins see it: without any digest. The version tells later changes which state they are for. */
export function shownKey({
  key,
  version,
}: {
  readonly key: KeyRecord;
  readonly version: number;
}): JsonObject {
  const { digest: _digest, former, ...rest } = key;
  const shown = { ...rest, models: [...rest.models], version };
  return former === undefined ? shown : { ...shown, former: { until: former.until } };
}

/** A tenant as admins see it. */
export function shownTenant(stored: { readonly tenant: TenantRecord; readonly version: number }): JsonObject {
  return { ...stored.tenant, version: stored.version };
}

/** The name and the id of a key, for the audit log: a name may belong to another key later. */
export function targetOfKey({ name, id }: Pick<KeyRecord, "name" | "id">): string {
  return `${name} (${id})`;
}

/**
 * True when no admin key works, neither one with a record nor one of the environment.
 * @param about.adminKeys the setting, as far as it is known; @param about.now ms since 1970
 */
export function lacksAdmin(
  keys: readonly KeyRecord[],
  { adminKeys, now }: { readonly adminKeys: string; readonly now: number },
): boolean {
  return adminKeys === "" && !keys.some((key) => key.role === "admin" && isUsable(key, now));
}

/** The sentence for an admin who has just taken away the last admin key. */
export const NO_ADMIN_LEFT: string =
  "No admin key is left. `sgnet keys create NAME --role admin` makes one, with access to Redis.";
