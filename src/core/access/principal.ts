import { allowsModel } from "./key-record.ts";
import type { KeyRecord, KeyRole, TenantRecord } from "./key-record.ts";

/** The rights of a request, by its key. */
export interface Principal {
  readonly role: KeyRole;
  /** Absent without a key. A key of the environment has a record in memory only. */
  readonly key?: KeyRecord;
  /** Absent where the tenant has no record: then only the key's own limits apply. */
  readonly tenant?: TenantRecord;
}

/** The principal of all requests while no key exists. */
export const ANONYMOUS: Principal = { role: "client" };

/** True when a request may use a model. Without a key it may use all. @param model the model's key */
export function mayUse({ key }: Pick<Principal, "key">, model: string): boolean {
  return key === undefined || allowsModel(key, model);
}

/** True when a request may use only some models. */
export function isRestricted({ key }: Pick<Principal, "key">): boolean {
  return key !== undefined && !key.models.includes("*");
}

/** The models among these that a request may use. @param principal absent: a request that needs no key */
export function allowedModels<Model extends { readonly key: string }>(
  principal: Principal | undefined,
  models: readonly Model[],
): readonly Model[] {
  if (principal === undefined || !isRestricted(principal)) return models;
  return models.filter(({ key }) => mayUse(principal, key));
}
