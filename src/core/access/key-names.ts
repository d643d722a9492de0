import type { Principal } from "./principal.ts";

/** The names of a client's key and of its tenant, for logs and records. A secret is never among them. */
export interface KeyNames {
  /** Absent without a key. */
  readonly keyName?: string | undefined;
  /** Present together with `keyName`. */
  readonly tenant?: string | undefined;
}

const NONE: KeyNames = {};

/** The names of a request's key. Empty without a key. */
export function keyNamesOf(principal: Principal | undefined): KeyNames {
  const key = principal?.key;
  return key === undefined ? NONE : { keyName: key.name, tenant: key.tenant };
}

/** Longest name that is read (characters, UTF-16): 64 letters of any script. */
const MOST_LENGTH = 128;

/** Control characters and line breaks: no name has them when its key is created. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** Reads names from a record that another process wrote. Empty for anything that cannot be a pair of names. */
export function readKeyNames(keyName: unknown, tenant: unknown): KeyNames {
  return isName(keyName) && isName(tenant) ? { keyName, tenant } : NONE;
}

function isName(value: unknown): value is string {
  if (typeof value !== "string" || value === "" || value.length > MOST_LENGTH) return false;
  return !UNPRINTABLE.test(value);
}

/** The names in one text, `name (tenant)`; undefined without a key. */
export function keyText({ keyName, tenant }: KeyNames): string | undefined {
  if (keyName === undefined) return undefined;
  return tenant === undefined ? keyName : `${keyName} (${tenant})`;
}
