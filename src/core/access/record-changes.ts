import { Fault } from "../fault.ts";
import type { Json, JsonObject } from "../json.ts";
import { AMOUNTS } from "./key-limits.ts";
import { isKeyId, KEY_MEMBERS, TENANT_MEMBERS } from "./record-members.ts";
import type { RecordMember } from "./record-members.ts";

/**
 * Checks what an admin asks for, from a command or the admin API. Null removes a member that may be absent. Both
 * surfaces share these checks, so that they give the same errors.
 */

/** The tenant of the keys of the environment. They have no record and no limits. */
export const ENVIRONMENT_TENANT = "env";

const LIMIT_NAMES = [...Object.keys(AMOUNTS), "budget"];

/** Members of a key that an admin may set, and the default of those that a record must have. */
export const KEY_FIELDS: readonly string[] = [
  "name",
  "tenant",
  "role",
  "models",
  "class",
  "ceiling",
  "expires",
  ...LIMIT_NAMES,
];

/** Members of a tenant that an admin may set. */
export const TENANT_FIELDS: readonly string[] = ["weight", "queueShare", ...LIMIT_NAMES];

const DEFAULTS: JsonObject = { role: "client", models: ["*"] };

/**
 * Checks the members that a key shall have.
 * @throws Fault `invalid_request` with the first problem
 */
export function checkKeyChanges(fields: JsonObject): JsonObject {
  const { expires } = fields;
  const given = typeof expires === "string" ? { ...fields, expires: Date.parse(expires) } : fields;
  const changes = checked(given, KEY_FIELDS, KEY_MEMBERS);
  const { name, tenant } = changes;
  if (typeof name === "string" && isReserved(name)) {
    throw invalid(`name '${name}' is reserved: it has the form of an id, or of a key of the environment`);
  }
  if (tenant === ENVIRONMENT_TENANT) throw reservedTenant();
  return changes;
}

/**
 * Checks the members that a tenant shall have.
 * @throws Fault `invalid_request` with the first problem
 */
export function checkTenantChanges(fields: JsonObject): JsonObject {
  return checked(fields, TENANT_FIELDS, TENANT_MEMBERS);
}

/** Checks the name of a tenant. @throws Fault `invalid_request` */
export function checkTenantName(name: string): void {
  if (!TENANT_MEMBERS.name.accepts(name)) throw invalid(`the name of a tenant ${TENANT_MEMBERS.name.form}`);
  if (name === ENVIRONMENT_TENANT) throw reservedTenant();
}

/** Applies checked changes to a record, or to the start of one. */
export function changed<Kind extends object>(record: Kind, changes: JsonObject): Kind {
  const merged = Object.entries({ ...record, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(merged) as Kind;
}

function checked(
  fields: JsonObject,
  allowed: readonly string[],
  members: Readonly<Record<string, RecordMember>>,
): JsonObject {
  const changes = Object.entries(fields).filter(([, value]) => value !== undefined);
  for (const [name, value = null] of changes) {
    const member = allowed.includes(name) ? members[name] : undefined;
    if (member === undefined) throw invalid(`'${name}' cannot be set: choose from ${allowed.join(", ")}`);
    checkMember(name, member, value);
  }
  return Object.fromEntries(changes.map(([name, value]) => [name, value ?? DEFAULTS[name] ?? null] as const));
}

function checkMember(name: string, member: RecordMember, value: Json): void {
  if (value === null) {
    if (name === "name" || name === "tenant") throw invalid(`${name} cannot be removed`);
    return;
  }
  if (!member.accepts(value)) throw invalid(`${name} ${member.form}`);
  if (name === "maxRunning") {
    throw invalid("running caps need the fair queue, which this version does not have");
  }
}

function isReserved(name: string): boolean {
  return isKeyId(name) || /^env-(?:admin-)?\d+$/.test(name);
}

function reservedTenant(): Fault {
  return invalid(`tenant '${ENVIRONMENT_TENANT}' is reserved for the keys of the environment`);
}

function invalid(message: string): Fault {
  return new Fault("invalid_request", message);
}
