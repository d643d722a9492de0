import { lacksAdmin, NO_ADMIN_LEFT, shownKey, targetOfKey } from "../../core/access/shown-record.ts";
import { isUsable } from "../../core/access/key-record.ts";
import type { KeyRecord } from "../../core/access/key-record.ts";
import type { JsonObject } from "../../core/json.ts";
import type { KeyAdministration } from "../../redis/access/key-administration.ts";
import { adminHandler } from "../access/admin-handler.ts";
import type { AdminAnswer, AdminCall, AdminGuardHost } from "../access/admin-handler.ts";
import type { Route } from "../http/http.ts";
import { pageOf, pieceAfter, readPageQuery, readRecordBody, readRotation } from "./record-body.ts";

/** The parts of a gateway that its paths for keys and tenants use. */
export interface RecordHost extends AdminGuardHost {
  readonly records: KeyAdministration;
  /** The setting of the environment, as a comma list. */
  readonly adminKeys: string;
  /** Ms since 1970. */
  readonly now: () => number;
}

type Work = (host: RecordHost, call: AdminCall) => Promise<AdminAnswer>;

const KEYS = "/admin/keys";
const ONE_KEY = `${KEYS}/:id`;

/** Paths and methods, each with its name in the audit log. */
const PATHS: readonly (readonly [Route["method"], path: string, action: string, work: Work])[] = [
  ["GET", KEYS, "keys.list", list],
  ["POST", KEYS, "keys.create", create],
  ["GET", ONE_KEY, "keys.show", show],
  ["PATCH", ONE_KEY, "keys.set", set],
  ["DELETE", ONE_KEY, "keys.revoke", revoke],
  ["POST", `${ONE_KEY}/rotate`, "keys.rotate", rotate],
];

/**
 * Returns the paths of keys for holders of an admin key. A path names a key by its id, or by its name. Answers have the
 * members of the record, without digests. A secret is told once, to the request that makes it.
 */
export function keyRoutes(host: RecordHost): readonly Route[] {
  return PATHS.map(([method, path, action, work]) => ({
    method,
    path,
    handler: adminHandler(host, action, async (call) => work(host, call)),
  }));
}

function nameIn({ request }: AdminCall): string {
  return pieceAfter(request, `${KEYS}/`);
}

async function list({ records }: RecordHost, { request }: AdminCall): Promise<AdminAnswer> {
  const asked = readPageQuery(request);
  const { page, ...next } = pageOf(await records.keys(), asked, ({ key }) => key.id);
  return { body: { keys: page.map(shownKey), ...next } };
}

async function show({ records }: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  return { body: shownKey(await records.key(nameIn(call))) };
}

async function create({ records, now }: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  const { fields } = readRecordBody(call.request, now());
  const issued = await records.create(fields);
  await call.record({ target: targetOfKey(issued.key), changes: fields });
  return { status: 201, body: { ...shownKey(issued), secret: issued.secret } };
}

async function set(host: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  const { records, now } = host;
  const { fields, version } = readRecordBody(call.request, now());
  const { key: was } = await records.key(nameIn(call));
  const stored = await records.set(was.id, fields, version);
  await call.record({ target: targetOfKey(stored.key), changes: fields });
  return { body: { ...shownKey(stored), ...(await warningAfter(host, was)) } };
}

async function rotate({ records }: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  const { overlapMs, version } = readRotation(call.request);
  const issued = await records.rotate(nameIn(call), overlapMs, version);
  const { former } = issued.key;
  const changes = { former: former === undefined ? null : { until: former.until } };
  await call.record({ target: targetOfKey(issued.key), changes });
  return { body: { ...shownKey(issued), secret: issued.secret } };
}

async function revoke(host: RecordHost, call: AdminCall): Promise<AdminAnswer> {
  const { key: was } = await host.records.key(nameIn(call));
  const stored = await host.records.revoke(was.id);
  if (was.disabled === undefined) await call.record({ target: targetOfKey(stored.key) });
  return { body: { ...shownKey(stored), ...(await warningAfter(host, was)) } };
}

/** Tells an admin who took away the last admin key. That is allowed: commands on Redis can make another. */
async function warningAfter({ records, adminKeys, now }: RecordHost, was: KeyRecord): Promise<JsonObject> {
  if (was.role !== "admin" || !isUsable(was, now())) return {};
  const keys = (await records.keys()).map(({ key }) => key);
  return lacksAdmin(keys, { adminKeys, now: now() }) ? { warning: NO_ADMIN_LEFT } : {};
}
