import { isObject } from "../json.ts";
import type { Json } from "../json.ts";
import { MAX_NAME, modelNameProblem } from "../model.ts";
import { AMOUNTS, MOST_AMOUNT } from "./key-limits.ts";
import type { KeyLimits } from "./key-limits.ts";
import { KEY_ROLES, REQUEST_CLASSES } from "./key-record.ts";
import type { KeyRecord, TenantRecord } from "./key-record.ts";

/** One member of a record: its test, and its form in words. */
export interface RecordMember {
  readonly form: string;
  accepts(value: Json): boolean;
}

export type RecordMembers<Kind> = Readonly<Record<keyof Kind, RecordMember>>;

/** Most patterns of models in one record. */
const MOST_PATTERNS = 256;

const time: RecordMember = {
  form: "must be a time, ms since 1970",
  accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
};

const amount: RecordMember = {
  form: `must be a whole number from 1 to ${MOST_AMOUNT}`,
  accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= MOST_AMOUNT,
};

const digest: RecordMember = {
  form: "must be a SHA-256 digest in hex",
  accepts: (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value),
};

const tenant: RecordMember = {
  form: "must have 1 to 64 characters of a-z, 0-9, _ and -",
  accepts: (value) => typeof value === "string" && /^[a-z0-9_-]{1,64}$/.test(value),
};

function oneOf(words: readonly string[]): RecordMember {
  return {
    form: `must be one of ${words.join(", ")}`,
    accepts: (value) => typeof value === "string" && words.includes(value),
  };
}

const amounts = Object.fromEntries(Object.keys(AMOUNTS).map((name) => [name, amount]));

const LIMITS: RecordMembers<KeyLimits> = {
  ...(amounts as Record<keyof typeof AMOUNTS, RecordMember>),
  budget: oneOf(["hard", "warn"]),
};

/** All members of a key record. */
export const KEY_MEMBERS: RecordMembers<KeyRecord> = {
  ...LIMITS,
  id: { form: "must be k and ten characters of a-z and 0-9", accepts: (value) => isKeyId(value) },
  name: {
    form: "must have 1 to 64 printable characters, without a blank at either end",
    accepts: (value) =>
      typeof value === "string" && value.length <= 64 && modelNameProblem(value) === undefined,
  },
  tenant,
  digest,
  hint: {
    form: "must be a text of up to 8 characters",
    accepts: (value) => typeof value === "string" && value.length <= 8,
  },
  former: {
    form: "must have a digest and the time until it works",
    accepts: (value) =>
      isObject(value) && digest.accepts(value["digest"] ?? null) && time.accepts(value["until"] ?? null),
  },
  role: oneOf(KEY_ROLES),
  models: {
    form: `must be a list of 1 to ${MOST_PATTERNS} patterns of model names`,
    accepts: (value) =>
      Array.isArray(value) && value.length > 0 && value.length <= MOST_PATTERNS && value.every(isPattern),
  },
  class: oneOf(REQUEST_CLASSES),
  ceiling: oneOf(REQUEST_CLASSES),
  expires: time,
  disabled: time,
  created: time,
};

/** All members of a tenant record. */
export const TENANT_MEMBERS: RecordMembers<TenantRecord> = {
  ...LIMITS,
  name: tenant,
  weight: {
    form: "must be a whole number from 1 to 1000",
    accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= 1000,
  },
  queueShare: {
    form: "must be a number above 0, up to 1",
    accepts: (value) => typeof value === "number" && value > 0 && value <= 1,
  },
  disabled: time,
  created: time,
};

/** True for the form of a key's id. */
export function isKeyId(value: unknown): value is string {
  return typeof value === "string" && /^k[a-z0-9]{10}$/.test(value);
}

function isPattern(value: Json): boolean {
  return typeof value === "string" && value.length <= MAX_NAME && modelNameProblem(value) === undefined;
}
