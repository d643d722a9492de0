import { AMOUNTS, MOST_AMOUNT } from "../../core/access/key-limits.ts";
import { KEY_ROLES, REQUEST_CLASSES } from "../../core/access/key-record.ts";
import { answersWith, RECORD_CHANGED, json, TASK_ERRORS } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { anyObject, bodyOf, enumOf, integer, integerFrom, list, named } from "./schema.ts";
import { nonEmptyString, number, object, string } from "./schema.ts";
import type { Members, Schema } from "./schema.ts";

/** Keys, tenants, their usage, and the audit log: for holders of an admin key. */

const TIME = "Ms since 1970.";

const LIMITS: Members = {
  ...Object.fromEntries(
    Object.entries(AMOUNTS).map(([name, words]) => [name, integerFrom(1, MOST_AMOUNT, `Most ${words}.`)]),
  ),
  budget: enumOf(
    ["hard", "warn"],
    "`hard` refuses requests beyond a budget, `warn` serves them with a warning. Absent: `hard`.",
  ),
};

const KEY_FIELDS: Members = {
  name: nonEmptyString("1 to 64 characters. Only one key that works has it."),
  tenant: nonEmptyString(
    "The tenant, whose keys share limits and budgets: a-z, 0-9, _ and -. Absent: the id.",
  ),
  role: enumOf(KEY_ROLES, "The rights of the key. Absent: `client`."),
  models: list(
    nonEmptyString(),
    "Patterns of models that may be used, with `*` for any characters. Absent: all models.",
  ),
  class: enumOf(REQUEST_CLASSES, "The class of requests that ask for none. Absent: `standard`."),
  ceiling: enumOf(REQUEST_CLASSES, "The highest class that may be asked for. Absent: `interactive`."),
  ...LIMITS,
};

/** As requests write the end of a key. */
const EXPIRES: Members = {
  expires: {
    type: ["integer", "string"],
    description: "The end of the key: ms since 1970, a date, or a duration such as `90d`.",
  },
};

const TENANT_FIELDS: Members = {
  weight: integerFrom(1, 1000, "Share beside other tenants. Absent: 1."),
  queueShare: number("Most of a model's queue, above 0, up to 1. Absent: one half."),
  ...LIMITS,
};

const VERSION: Members = { version: integer("Grows with each change of any record.") };

const KEY: Schema = object(
  {
    id: string("`k` and ten characters."),
    ...KEY_FIELDS,
    hint: string("The last four characters of the secret."),
    former: object({ until: integer(TIME) }, ["until"], "The secret before a rotation, while it works."),
    expires: integer(`${TIME} The key works until then.`),
    disabled: integer(`${TIME} The key was revoked then.`),
    created: integer(TIME),
    ...VERSION,
  },
  ["id", "name", "tenant", "role", "models", "hint", "created", "version"],
  "A key, without its secret.",
);

const ISSUED_KEY: Schema = {
  allOf: [named("Key"), object({ secret: string("The secret. No later answer has it.") }, ["secret"])],
};

const WARNED: Members = { warning: string("No admin key is left after this.") };
const CHANGED_KEY: Schema = { allOf: [named("Key"), object(WARNED)] };

const TENANT: Schema = object(
  { name: string(), ...TENANT_FIELDS, created: integer(TIME), ...VERSION },
  ["name", "created", "version"],
  "The limits that the keys of a tenant share.",
);

const COUNT_NAMES = ["inputTokens", "outputTokens", "cachedTokens", "requests", "errors"];
const COUNTS: Members = Object.fromEntries(COUNT_NAMES.map((name) => [name, integer()]));

const KEY_NAMES: Members = {
  tenant: string(),
  key: string("Id of the key."),
  keyName: string("Name of the key; absent when its record is gone."),
};

const USAGE_ROW: Schema = object(
  {
    ...KEY_NAMES,
    model: string("The model, or `other`."),
    day: string("A day of UTC: `2026-12-01`."),
    ...COUNTS,
  },
  COUNT_NAMES,
  "Sums of one group.",
);

const BUDGET_ROW: Schema = object(
  {
    ...KEY_NAMES,
    today: integer("Tokens of this day (UTC)."),
    month: integer("Tokens of this month (UTC)."),
    budgetDay: integer(),
    budgetMonth: integer(),
    budget: enumOf(["hard", "warn"]),
  },
  ["tenant", "today", "month"],
  "The use of a key or tenant beside its budgets.",
);

const USAGE: Schema = object(
  {
    from: string("First day."),
    to: string("Last day."),
    by: list(string()),
    rows: list(USAGE_ROW),
    total: object(COUNTS, COUNT_NAMES),
    budgets: list(BUDGET_ROW),
  },
  ["from", "to", "by", "rows", "total", "budgets"],
);

/** A page of a list. */
const PAGE: Members = {
  limit: integerFrom(1, 1000, "Most items. Absent: 100."),
  after: string("The member `next` of the page before. Absent: the first page."),
};
const NEXT: Members = { next: string("The mark of the next page; absent on the last one.") };

const AUDIT_ENTRY: Schema = object(
  {
    id: string(),
    at: integer(TIME),
    who: string("Name of the key, or `cli:user@host` for a command."),
    from: string("Address of the client, or host of the command."),
    action: string("A noun and a verb, such as `keys.create`."),
    target: string("Name of the key, tenant, worker, model or dead letter."),
    changes: anyObject("Members that were set, with their new values; null for one that was removed."),
    outcome: enumOf(["done", "sent", "refused"]),
    more: integer("Refused attempts before this one that have no entry."),
  },
  ["id", "at", "who", "from", "action", "target", "outcome"],
  "An action of an admin.",
);

const ID: Members = { id: string("The id or the name of a key.") };
const NAME: Members = { name: string("The name of a tenant.") };

function access(
  method: Operation["method"],
  path: string,
  rest: Pick<Operation, "summary" | "answers"> & Partial<Operation>,
): Operation {
  return { method, path, tag: "Keys", access: "admin", errors: [...TASK_ERRORS, RECORD_CHANGED], ...rest };
}

const body = (schema: Schema): NonNullable<Operation["body"]> => ({ contents: json(schema) });

const created = (schema: Schema, description: string): Answers => ({
  201: { description, contents: json(schema) },
});

const KEYS: readonly Operation[] = [
  access("GET", "/admin/keys", {
    summary: "Lists keys by name, revoked ones last",
    query: PAGE,
    answers: answersWith(
      object({ keys: list(named("Key")), ...NEXT }, ["keys"]),
      "The keys, without secrets.",
    ),
  }),
  access("POST", "/admin/keys", {
    summary: "Creates a key",
    description:
      "As soon as one client key exists, requests without a key get 401, on every gateway within 4 s.",
    body: body(bodyOf({ ...KEY_FIELDS, ...EXPIRES, weight: TENANT_FIELDS["weight"] ?? integer() }, ["name"])),
    answers: created(named("IssuedKey"), "The key with its secret."),
  }),
  access("GET", "/admin/keys/{id}", {
    summary: "Shows a key",
    parameters: ID,
    answers: answersWith(named("Key"), "The key."),
  }),
  access("PATCH", "/admin/keys/{id}", {
    summary: "Changes a key; null removes a member",
    parameters: ID,
    body: body(bodyOf({ ...KEY_FIELDS, ...EXPIRES, ...VERSION })),
    answers: answersWith(named("ChangedKey"), "The key as it is now."),
  }),
  access("DELETE", "/admin/keys/{id}", {
    summary: "Revokes a key, on every gateway within 4 s",
    parameters: ID,
    answers: answersWith(named("ChangedKey"), "The key. Its record stays for a day."),
  }),
  access("POST", "/admin/keys/{id}/rotate", {
    summary: "Gives a key another secret",
    parameters: ID,
    body: body(
      bodyOf({
        overlap: {
          type: ["integer", "string"],
          description: "Time that the former secret goes on working: ms, or `12h`. Absent: a day. 0: none.",
        },
        ...VERSION,
      }),
    ),
    answers: answersWith(named("IssuedKey"), "The key with its new secret."),
  }),
];

const TENANTS: readonly Operation[] = [
  access("GET", "/admin/tenants", {
    summary: "Lists tenants with limits, by name",
    query: PAGE,
    answers: answersWith(object({ tenants: list(named("Tenant")), ...NEXT }, ["tenants"]), "The tenants."),
  }),
  access("POST", "/admin/tenants", {
    summary: "Creates the limits of a tenant",
    body: body(bodyOf({ name: nonEmptyString(), ...TENANT_FIELDS }, ["name"])),
    answers: created(named("Tenant"), "The tenant."),
  }),
  access("GET", "/admin/tenants/{name}", {
    summary: "Shows a tenant",
    parameters: NAME,
    answers: answersWith(named("Tenant"), "The tenant."),
  }),
  access("PATCH", "/admin/tenants/{name}", {
    summary: "Changes a tenant; null removes a member",
    parameters: NAME,
    body: body(bodyOf({ ...TENANT_FIELDS, ...VERSION })),
    answers: answersWith(named("Tenant"), "The tenant as it is now."),
  }),
  access("DELETE", "/admin/tenants/{name}", {
    summary: "Removes the limits of a tenant; refused while a key of it works",
    parameters: NAME,
    answers: answersWith(named("Tenant"), "The tenant as it was."),
  }),
];

const REPORTS: readonly Operation[] = [
  access("GET", "/admin/usage", {
    summary: "Reports what keys used; observers may ask, too",
    query: {
      by: string("Comma list of `tenant`, `key`, `model`, `day`. Absent: `tenant,key,model`."),
      from: string("First day (UTC). Absent: the last one."),
      to: string("Last day (UTC). Absent: today."),
      tenant: string("Only this tenant."),
      key: string("Only the key with this name or id."),
      format: enumOf(["json", "csv"]),
    },
    answers: {
      200: {
        description: "Sums by group.",
        contents: { ...json(USAGE), "text/csv": string() },
      },
    },
  }),
  access("GET", "/admin/audit", {
    summary: "Lists actions of admins, the newest first",
    query: PAGE,
    answers: answersWith(object({ entries: list(AUDIT_ENTRY), ...NEXT }, ["entries"]), "The entries."),
  }),
];

export const ACCESS: Chapter = {
  operations: [...KEYS, ...TENANTS, ...REPORTS],
  schemas: { Key: KEY, ChangedKey: CHANGED_KEY, IssuedKey: ISSUED_KEY, Tenant: TENANT },
};
