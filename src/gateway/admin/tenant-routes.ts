import { Fault } from "../../core/fault.ts";
import { shownTenant } from "../../core/access/shown-record.ts";
import { adminHandler } from "../access/admin-handler.ts";
import type { AdminAnswer, AdminCall } from "../access/admin-handler.ts";
import type { Route } from "../http/http.ts";
import type { RecordHost } from "./key-routes.ts";
import { pageOf, pieceAfter, readPageQuery, readRecordBody } from "./record-body.ts";

type Work = (host: RecordHost, call: AdminCall) => Promise<AdminAnswer>;

const TENANTS = "/admin/tenants";
const ONE_TENANT = `${TENANTS}/:name`;

const PATHS: readonly (readonly [Route["method"], path: string, action: string, work: Work])[] = [
  ["GET", TENANTS, "tenants.list", list],
  ["POST", TENANTS, "tenants.create", create],
  ["GET", ONE_TENANT, "tenants.show", show],
  ["PATCH", ONE_TENANT, "tenants.set", set],
  ["DELETE", ONE_TENANT, "tenants.remove", remove],
];

/** Returns the paths of tenants for holders of an admin key. */
export function tenantRoutes(host: RecordHost): readonly Route[] {
  return PATHS.map(([method, path, action, work]) => ({
    method,
    path,
    handler: adminHandler(host, action, async (call) => work(host, call)),
  }));
}

function nameIn({ request }: AdminCall): string {
  return pieceAfter(request, `${TENANTS}/`);
}

async function list({ records }: RecordHost, { request }: AdminCall): Promise<AdminAnswer> {
  const asked = readPageQuery(request);
  const { page, ...next } = pageOf(await records.tenants(), asked, ({ tenant }) => tenant.name);
  return { body: { tenants: page.map(shownTenant), ...next } };
}

async function show({ records }: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  return { body: shownTenant(await records.tenant(nameIn(call))) };
}

async function create({ records, now }: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  const { name, ...fields } = readRecordBody(call.request, now()).fields;
  if (typeof name !== "string") throw new Fault("invalid_request", "a tenant needs a name, a text");
  const stored = await records.createTenant(name, fields);
  await call.record({ target: name, changes: fields });
  return { status: 201, body: shownTenant(stored) };
}

async function set({ records, now }: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  const { fields, version } = readRecordBody(call.request, now());
  const stored = await records.setTenant(nameIn(call), fields, version);
  await call.record({ target: stored.tenant.name, changes: fields });
  return { body: shownTenant(stored) };
}

async function remove({ records }: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  const stored = await records.removeTenant(nameIn(call));
  await call.record({ target: stored.tenant.name });
  return { body: shownTenant(stored) };
}
