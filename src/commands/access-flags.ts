import { AMOUNTS } from "../core/access/key-limits.ts";
import { KEY_ROLES, REQUEST_CLASSES } from "../core/access/key-record.ts";
import type { Command } from "./command-line.ts";

/** Flags of `sgnet keys` and `sgnet tenants`: each sets a member of a record. */
export interface RecordFlag {
  /** The member of the record. */
  readonly member: string;
  readonly describe: string;
}

type RecordFlags = Readonly<Record<string, RecordFlag>>;

function dashed(member: string): string {
  return member.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const LIMIT_FLAGS: RecordFlags = {
  ...Object.fromEntries(
    Object.entries(AMOUNTS).map(([member, words]) => [dashed(member), { member, describe: `Most ${words}` }]),
  ),
  "max-running": {
    member: "maxRunning",
    describe: `Most ${AMOUNTS.maxRunning}. Needs the fair queue, which this version does not have.`,
  },
  budget: {
    member: "budget",
    describe: "hard: refuse requests beyond a budget; warn: serve them with a warning. Default: hard.",
  },
};

/** Flags that set members of a key. `weight` goes to its tenant. */
export const KEY_FLAGS: RecordFlags = {
  tenant: { member: "tenant", describe: "Tenant, which shares limits and budget. Default: one of its own." },
  role: { member: "role", describe: `Rights: ${KEY_ROLES.join(", ")}. Default: client.` },
  models: { member: "models", describe: "Models that may be used: a comma list of patterns. Default: *" },
  class: {
    member: "class",
    describe: `Class of requests that ask for none: ${REQUEST_CLASSES.join(", ")}. Default: standard.`,
  },
  ceiling: { member: "ceiling", describe: "Highest class that may be asked for. Default: interactive." },
  ...LIMIT_FLAGS,
  weight: { member: "weight", describe: "Share of the tenant beside others, 1 to 1000" },
  expires: { member: "expires", describe: "End of the key: 90d, 12h, or a date such as 2030-12-31 (UTC)" },
};

/** Flags that set members of a tenant. */
export const TENANT_FLAGS: RecordFlags = {
  weight: { member: "weight", describe: "Share beside other tenants, 1 to 1000. Default: 1." },
  "queue-share": {
    member: "queueShare",
    describe: "Most of a model's queue, above 0, up to 1. Default: 0.5.",
  },
  ...LIMIT_FLAGS,
};

function optionsOf(flags: RecordFlags): NonNullable<Command["options"]> {
  return Object.fromEntries(
    Object.entries(flags).map(([flag, { describe }]) => [flag, { type: "string", describe }]),
  );
}

const JSON_FLAG = { json: { type: "boolean", describe: "Print one JSON document" } } as const;

/** Options of `sgnet keys`. */
export const KEY_OPTIONS: NonNullable<Command["options"]> = {
  ...optionsOf(KEY_FLAGS),
  name: { type: "string", describe: "set: the new name" },
  overlap: {
    type: "string",
    describe: "rotate: time that the old secret goes on to work, up to 90d. Default: 1d.",
  },
  ...JSON_FLAG,
};

/** Options of `sgnet tenants`. */
export const TENANT_OPTIONS: NonNullable<Command["options"]> = { ...optionsOf(TENANT_FLAGS), ...JSON_FLAG };

/** The end of the help pages. */
export const KEY_HELP = `sgnet keys create NAME     create a key and print its secret, which is shown this one time
sgnet keys list            list all keys, those that were revoked last
sgnet keys show KEY        show one; KEY is its name or its id
sgnet keys set KEY         change it; none removes a limit, as in --rpm none
sgnet keys rotate KEY      give it a new secret; the old one works for --overlap, 0 to end it at once
sgnet keys revoke KEY      end it for good, at every gateway within 4 s
sgnet keys open            serve requests without a key again, once no client key works
Once a client key was created, requests without a key get 401. Keys of SGNET_API_KEY go on to work.
Every action is in the audit log: sgnet audit.`;

export const TENANT_HELP = `sgnet tenants create NAME  create the limits that all keys of a tenant share
sgnet tenants list         list all tenants that have some
sgnet tenants show NAME    show one
sgnet tenants set NAME     change it; none removes a limit, as in --rpm none
sgnet tenants remove NAME  remove its limits; refused while a key of it works`;
