import { isoTime } from "../core/iso-time.ts";
import { AMOUNTS } from "../core/access/key-limits.ts";
import type { KeyLimits } from "../core/access/key-limits.ts";
import { isUsable } from "../core/access/key-record.ts";
import type { KeyRecord, TenantRecord } from "../core/access/key-record.ts";
import { escapedLine } from "../core/escaped-text.ts";
import { renderTable } from "./table.ts";

/** A table of keys. @param now ms since 1970 */
export function renderKeys(keys: readonly KeyRecord[], now: number): string {
  const head = ["name", "id", "tenant", "role", "models", "limits", "secret", "expires", "state"];
  const rows = keys.map((key) => [
    key.name,
    key.id,
    key.tenant === key.id ? "-" : key.tenant,
    key.role,
    key.models.join(","),
    limitsOf(key),
    `…${key.hint}`,
    key.expires === undefined ? "never" : dateOf(key.expires),
    stateOf(key, now),
  ]);
  return renderTable("Keys", head, rows);
}

/** One key as lines. @param now ms since 1970 */
export function renderKey(key: KeyRecord, now: number): string {
  const { former } = key;
  const until = former !== undefined && former.until > now ? former.until : undefined;
  return renderFacts(`Key ${key.name}`, [
    ["id", key.id],
    ["tenant", key.tenant === key.id ? "its own" : key.tenant],
    ["role", key.role],
    ["state", stateOf(key, now)],
    ["secret", `ends with ${key.hint}`],
    ...(until === undefined ? [] : [["old secret", `works until ${timeOf(until)}`] as const]),
    ["models", key.models.join(", ")],
    ...(key.class === undefined ? [] : [["class", key.class] as const]),
    ...(key.ceiling === undefined ? [] : [["ceiling", key.ceiling] as const]),
    ...limitLines(key),
    ["created", timeOf(key.created)],
    ["expires", key.expires === undefined ? "never" : timeOf(key.expires)],
  ]);
}

/**
 * A table of tenants.
 * @param about.keys all keys, to count those that work; @param about.now ms since 1970
 */
export function renderTenants(
  tenants: readonly TenantRecord[],
  { keys, now }: { readonly keys: readonly KeyRecord[]; readonly now: number },
): string {
  const head = ["name", "keys", "weight", "limits"];
  const rows = tenants.map((tenant) => [
    tenant.name,
    keys.filter((key) => key.tenant === tenant.name && isUsable(key, now)).length,
    tenant.weight ?? 1,
    limitsOf(tenant),
  ]);
  return renderTable("Tenants", head, rows);
}

/** One tenant as lines. */
export function renderTenant(tenant: TenantRecord): string {
  return renderFacts(`Tenant ${tenant.name}`, [
    ["weight", String(tenant.weight ?? 1)],
    ["queue share", String(tenant.queueShare ?? 0.5)],
    ...limitLines(tenant),
    ["created", timeOf(tenant.created)],
  ]);
}

function renderFacts(title: string, lines: readonly (readonly [string, string])[]): string {
  const facts = lines.map(([name, value]) => `  ${name.padEnd(12)} ${escapedLine(value)}`);
  return `${[escapedLine(title), ...facts].join("\n")}\n`;
}

function limitsOf(limits: KeyLimits): string {
  const set = amountsOf(limits).map(([name, amount]) => `${name}=${amount}`);
  return [...set, ...(limits.budget === "warn" ? ["budget=warn"] : [])].join(" ") || "none";
}

function limitLines(limits: KeyLimits): (readonly [string, string])[] {
  const set = amountsOf(limits).map(([name, amount]) => [name, `${amount} ${AMOUNTS[name]}`] as const);
  if (set.length === 0) return [["limits", "none"]];
  const warns = limits.budget === "warn" ? [["budget", "warns, and serves beyond it"] as const] : [];
  return [...set, ...warns];
}

function amountsOf(limits: KeyLimits): (readonly [keyof typeof AMOUNTS, number])[] {
  return (Object.keys(AMOUNTS) as (keyof typeof AMOUNTS)[]).flatMap((name) => {
    const amount = limits[name];
    return amount === undefined ? [] : [[name, amount] as const];
  });
}

function stateOf(key: KeyRecord, now: number): string {
  if (key.disabled !== undefined) return "revoked";
  return isUsable(key, now) ? "works" : "expired";
}

function timeOf(ms: number): string {
  return isoTime(ms);
}

function dateOf(ms: number): string {
  return timeOf(ms).slice(0, 16).replace("T", " ");
}
