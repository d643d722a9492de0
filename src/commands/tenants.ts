import type { Settings } from "../config/settings.ts";
import { shownTenant } from "../core/access/shown-record.ts";
import { fieldsOf } from "./access-fields.ts";
import type { FlagTexts } from "./access-fields.ts";
import { requireChange, runAccessAction } from "./access-action.ts";
import type { AccessActions, AccessContext } from "./access-action.ts";
import { TENANT_FLAGS, TENANT_OPTIONS } from "./access-flags.ts";
import { renderTenant, renderTenants } from "./access-view.ts";
import { print, printJson } from "./print.ts";

const SETTABLE = Object.keys(TENANT_FLAGS);

const ACTIONS: AccessActions = {
  list: { takesName: false, uses: [], run: list },
  show: { takesName: true, uses: [], run: show },
  create: { takesName: true, uses: SETTABLE, run: create },
  set: { takesName: true, uses: SETTABLE, run: set },
  remove: { takesName: true, uses: [], run: remove },
};

/** Arguments of `sgnet tenants`. */
export interface TenantArguments {
  /** Absent: list. */
  readonly action: string | undefined;
  readonly tenant: string | undefined;
  readonly flags: FlagTexts;
  readonly json: boolean;
}

/** Creates, lists, shows, changes or removes the limits of tenants. Resolves with the exit code. */
export async function runTenants(settings: Settings, args: TenantArguments): Promise<number> {
  const { action, tenant, flags, json } = args;
  const request = { command: "tenants", action, name: tenant, flags, json } as const;
  return runAccessAction(settings, request, { actions: ACTIONS, all: Object.keys(TENANT_OPTIONS) });
}

async function list({ admin, now, json }: AccessContext): Promise<void> {
  const tenants = await admin.tenants();
  if (json) {
    printJson(tenants.map(shownTenant));
    return;
  }
  const keys = (await admin.keys()).map(({ key }) => key);
  print(
    renderTenants(
      tenants.map(({ tenant }) => tenant),
      { keys, now },
    ),
  );
}

async function show({ admin, name, json }: AccessContext): Promise<void> {
  const stored = await admin.tenant(name);
  if (json) printJson(shownTenant(stored));
  else print(renderTenant(stored.tenant));
}

async function create(context: AccessContext): Promise<void> {
  const { admin, name, now, flags, json } = context;
  const fields = fieldsOf(flags, TENANT_FLAGS, now);
  const stored = await admin.createTenant(name, fields);
  await context.record({ target: name, changes: fields });
  if (json) printJson(shownTenant(stored));
  else print(renderTenant(stored.tenant));
}

async function set(context: AccessContext): Promise<void> {
  const { admin, name, now, flags, json } = context;
  const fields = fieldsOf(flags, TENANT_FLAGS, now);
  requireChange(fields, "sgnet tenants set NAME --weight 2");
  const stored = await admin.setTenant(name, fields);
  await context.record({ target: name, changes: fields });
  if (json) printJson(shownTenant(stored));
  else print(renderTenant(stored.tenant));
}

async function remove(context: AccessContext): Promise<void> {
  const { admin, name, json } = context;
  const stored = await admin.removeTenant(name);
  await context.record({ target: name });
  if (json) printJson(shownTenant(stored));
  else print(`Tenant ${name} has no record and no limits any more.\n`);
}
