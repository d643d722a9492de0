import { isObject } from "../json.ts";

/** Outcomes of an admin's action: done; sent to workers, which carry it out; refused by the role of its key. */
export const AUDIT_OUTCOMES = ["done", "sent", "refused"] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

/** An action of an admin, as it is told to the audit log. It never holds a secret, a digest or a prompt. */
export interface AuditedAction {
  /** A noun and a verb: `keys.create`. */
  readonly action: string;
  /** Name of the key, tenant, worker, model or dead letter; empty when the action was refused unread. */
  readonly target: string;
  /** The members that were set, with their new values; null for one that was removed. */
  readonly changes?: Readonly<Record<string, unknown>>;
}

/** An entry of the audit log. */
export interface AuditEntry extends AuditedAction {
  /** Name of the key, or `cli:user@host` for a command. */
  readonly who: string;
  /** Address of the client, or host of the command. */
  readonly from: string;
  readonly outcome: AuditOutcome;
  /** Refused attempts before this one that have no entry: too many came at once. */
  readonly more?: number;
}

/** An entry as it is read: with its time, ms since 1970 by the clock of Redis. */
export interface DatedAuditEntry extends AuditEntry {
  readonly id: string;
  readonly at: number;
}

/** Longest text of an entry (characters). Names of models and paths come from outside. */
const LONGEST_TEXT = 300;

/** The entry with each of its own texts cut to a length that people read. */
export function boundedEntry(entry: AuditEntry): AuditEntry {
  const { action, target, who, from } = entry;
  return { ...entry, action: cut(action), target: cut(target), who: cut(who), from: cut(from) };
}

function cut(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

/** True for a value with all members of an entry that must be there. */
export function isAuditEntry(value: unknown): value is AuditEntry {
  if (!isObject(value)) return false;
  const texts = ["action", "target", "who", "from"].every((name) => typeof value[name] === "string");
  return texts && AUDIT_OUTCOMES.some((outcome) => outcome === value["outcome"]);
}
