import type { Settings } from "../config/settings.ts";
import { Fault } from "../core/fault.ts";
import type { JsonObject } from "../core/json.ts";
import type { AuditedAction } from "../core/access/audit-entry.ts";
import { similarWord } from "../core/similar-names.ts";
import { KeyAdministration } from "../redis/access/key-administration.ts";
import { Keys } from "../redis/keys.ts";
import { openStores } from "../redis/stores.ts";
import { refuseUnusedFlags } from "./access-fields.ts";
import type { FlagTexts } from "./access-fields.ts";
import { recordCommand } from "./audited.ts";
import { withConnection } from "./redis-discovery.ts";

/** The words of `sgnet keys` and `sgnet tenants`. */

/** One action of a command, as it was asked for. */
export interface AccessRequest {
  readonly command: "keys" | "tenants";
  /** Absent: list. */
  readonly action: string | undefined;
  readonly name: string | undefined;
  readonly flags: FlagTexts;
  readonly json: boolean;
}

/** The parts that an action uses. */
export interface AccessContext extends Pick<AccessRequest, "flags" | "json"> {
  readonly settings: Settings;
  readonly admin: KeyAdministration;
  /** Empty for an action that takes none. */
  readonly name: string;
  /** Ms since 1970. */
  readonly now: number;
  /** Tells the audit log of the action. */
  record(action: Omit<AuditedAction, "action">): Promise<void>;
}

interface AccessAction {
  readonly takesName: boolean;
  /** Options that it takes beside `json`. */
  readonly uses: readonly string[];
  readonly run: (context: AccessContext) => Promise<void>;
}

/** The actions of a command by word. */
export type AccessActions = Readonly<Record<string, AccessAction>>;

/**
 * Runs one action with the records in Redis. Resolves with the exit code. Rejects with a sentence.
 * @param known.all options of all actions
 */
export async function runAccessAction(
  settings: Settings,
  request: AccessRequest,
  known: { readonly actions: AccessActions; readonly all: readonly string[] },
): Promise<number> {
  const { command, action = "list", flags, json } = request;
  const chosen = Object.hasOwn(known.actions, action) ? known.actions[action] : undefined;
  if (chosen === undefined) throw unknownAction(command, action, Object.keys(known.actions));
  const line = `sgnet ${command} ${action}`;
  const name = nameFor(line, chosen, request.name);
  refuseUnusedFlags(line, flags, { uses: [...chosen.uses, "json"], all: known.all });
  return withConnection(settings, command, async (connection) => {
    const { access, audit } = openStores(connection, new Keys(settings.prefix));
    const record: AccessContext["record"] = async (rest) =>
      recordCommand(audit, { action: `${command}.${action}`, ...rest });
    const admin = new KeyAdministration(access, Date.now);
    try {
      await chosen.run({ settings, admin, name, now: Date.now(), flags, json, record });
    } catch (error) {
      throw error instanceof Fault && error.code !== "redis_down" ? asSentence(error) : error;
    }
    return 0;
  });
}

function unknownAction(command: string, action: string, actions: readonly string[]): Error {
  const meant = similarWord(action, actions);
  const guess = meant === undefined ? "" : ` Did you mean ${meant}?`;
  const words = `${actions.slice(0, -1).join(", ")} or ${actions.at(-1)}`;
  return new Error(`sgnet ${command} takes ${words}, not ${action}.${guess}`);
}

function nameFor(line: string, { takesName }: AccessAction, name: string | undefined): string {
  if (takesName && (name === undefined || name === "")) throw new Error(`A name is missing: ${line} NAME.`);
  if (!takesName && name !== undefined) throw new Error(`${line} takes no name.`);
  return name ?? "";
}

/** The fault as a sentence of the command line. */
function asSentence(fault: Fault): Fault {
  const { code, message } = fault;
  const end = /[.?!]$/.test(message) ? "" : ".";
  return new Fault(code, `${message.slice(0, 1).toUpperCase()}${message.slice(1)}${end}`, { cause: fault });
}

/** Refuses a change of nothing. */
export function requireChange(fields: JsonObject, example: string): void {
  if (Object.keys(fields).length === 0) throw new Error(`Nothing is to be set: try ${example}.`);
}
