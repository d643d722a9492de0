import type { Settings } from "../config/settings.ts";
import { isUsable } from "../core/access/key-record.ts";
import type { KeyRecord } from "../core/access/key-record.ts";
import { lacksAdmin, NO_ADMIN_LEFT, shownKey, targetOfKey } from "../core/access/shown-record.ts";
import { DURATION_FORM, readDuration } from "../core/access/time-text.ts";
import type { JsonObject } from "../core/json.ts";
import type { IssuedKey } from "../redis/access/key-administration.ts";
import { fieldsOf } from "./access-fields.ts";
import type { FlagTexts } from "./access-fields.ts";
import { KEY_FLAGS, KEY_OPTIONS } from "./access-flags.ts";
import { requireChange, runAccessAction } from "./access-action.ts";
import type { AccessActions, AccessContext } from "./access-action.ts";
import { firstKeyText, secretText } from "./access-advice.ts";
import { renderKey, renderKeys } from "./access-view.ts";
import { print, printError, printJson } from "./print.ts";

const SETTABLE = Object.keys(KEY_FLAGS);

const ACTIONS: AccessActions = {
  list: { takesName: false, uses: [], run: list },
  show: { takesName: true, uses: [], run: show },
  create: { takesName: true, uses: SETTABLE, run: create },
  set: { takesName: true, uses: [...SETTABLE, "name"], run: set },
  rotate: { takesName: true, uses: ["overlap"], run: rotate },
  revoke: { takesName: true, uses: [], run: revoke },
  open: { takesName: false, uses: [], run: open },
};

/** Time that the old secret of a rotated key goes on to work when none is given: one day (ms). */
const OVERLAP_MS = 86_400_000;

/** Arguments of `sgnet keys`. */
export interface KeyArguments {
  /** Absent: list. */
  readonly action: string | undefined;
  /** Name or id of a key. */
  readonly key: string | undefined;
  readonly flags: FlagTexts;
  readonly json: boolean;
}

/** Creates, lists, shows, changes, rotates or revokes API keys. Resolves with the exit code. */
export async function runKeys(settings: Settings, args: KeyArguments): Promise<number> {
  const { action, key, flags, json } = args;
  const all = Object.keys(KEY_OPTIONS);
  return runAccessAction(
    settings,
    { command: "keys", action, name: key, flags, json },
    { actions: ACTIONS, all },
  );
}

async function list({ admin, now, json }: AccessContext): Promise<void> {
  const keys = await admin.keys();
  if (json) {
    printJson(keys.map(shownKey));
    return;
  }
  print(
    renderKeys(
      keys.map(({ key }) => key),
      now,
    ),
  );
  const isOpen = await admin.allowsAnonymous();
  if (!isOpen) print("Requests without a key get 401.\n");
}

async function show({ admin, name, now, json }: AccessContext): Promise<void> {
  const stored = await admin.key(name);
  if (json) printJson(shownKey(stored));
  else print(renderKey(stored.key, now));
}

async function create(context: AccessContext): Promise<void> {
  const { admin, name, now, flags, json, settings } = context;
  const fields = fieldsOf(flags, KEY_FLAGS, now);
  const wasOpen = await admin.allowsAnonymous();
  const issued = await admin.create({ ...fields, name });
  await context.record({ target: targetOfKey(issued.key), changes: fields });
  if (json) {
    printIssued(issued);
    return;
  }
  print(`${renderKey(issued.key, now)}${secretText(issued.secret)}`);
  const closes = wasOpen && issued.key.role === "client";
  print(firstKeyText(settings, { secret: issued.secret, closes, isTerminal: process.stdout.isTTY }));
}

async function set(context: AccessContext): Promise<void> {
  const { admin, name, now, flags, json } = context;
  const fields = { ...fieldsOf(flags, KEY_FLAGS, now), ...renamed(flags) };
  requireChange(fields, "sgnet keys set KEY --rpm 60");
  const { key: was } = await admin.key(name);
  const stored = await admin.set(name, fields);
  await context.record({ target: targetOfKey(stored.key), changes: fields });
  if (json) printJson(shownKey(stored));
  else print(renderKey(stored.key, now));
  await warnWithoutAdmin(context, was);
}

function renamed({ name }: FlagTexts): JsonObject {
  return typeof name === "string" ? { name } : {};
}

async function rotate(context: AccessContext): Promise<void> {
  const { admin, name, now, flags, json } = context;
  const issued = await admin.rotate(name, overlapOf(flags["overlap"]));
  const { former } = issued.key;
  const changes = { former: former === undefined ? null : { until: former.until } };
  await context.record({ target: targetOfKey(issued.key), changes });
  if (json) printIssued(issued);
  else print(`${renderKey(issued.key, now)}${secretText(issued.secret)}`);
}

function overlapOf(text: unknown): number {
  if (typeof text !== "string") return OVERLAP_MS;
  const ms = readDuration(text.trim());
  if (ms === undefined) throw new Error(`--overlap ${DURATION_FORM}, not ${JSON.stringify(text)}.`);
  return ms;
}

async function revoke(context: AccessContext): Promise<void> {
  const { admin, name, json } = context;
  const { key: was } = await admin.key(name);
  const stored = await admin.revoke(name);
  await context.record({ target: targetOfKey(stored.key) });
  if (json) printJson(shownKey(stored));
  else print(`Key ${stored.key.name} (${stored.key.id}) is revoked: gateways refuse it within 4 s.\n`);
  await warnWithoutAdmin(context, was);
}

async function open(context: AccessContext): Promise<void> {
  await context.admin.allowAnonymous();
  await context.record({ target: "" });
  if (context.json) printJson({ anonymous: true });
  else print("Gateways without SGNET_API_KEY serve requests without a key again, within 4 s.\n");
}

function printIssued(issued: IssuedKey): void {
  printJson({ ...shownKey(issued), secret: issued.secret });
}

/** Tells an operator who took the last admin key away. Keys of a gateway's own environment are not known here. */
async function warnWithoutAdmin({ admin, settings, now }: AccessContext, was: KeyRecord): Promise<void> {
  if (was.role !== "admin" || !isUsable(was, now)) return;
  const keys = (await admin.keys()).map(({ key }) => key);
  if (lacksAdmin(keys, { adminKeys: settings.adminKeys, now })) printError(`${NO_ADMIN_LEFT}\n`);
}
