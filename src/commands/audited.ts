import { hostname, userInfo } from "node:os";
import type { AuditedAction } from "../core/access/audit-entry.ts";
import type { AuditLog } from "../redis/audit-log.ts";
import { explain } from "./explain.ts";
import { printError } from "./print.ts";

/**
 * Tells the audit log of an action that a command has carried out, or has sent to workers. Never rejects: the action
 * stands. A Redis that refuses the entry is told on standard error.
 */
export async function recordCommand(
  audit: Pick<AuditLog, "append">,
  action: AuditedAction,
  outcome: "done" | "sent" = "done",
): Promise<void> {
  const missing = await appendCommand(audit, action, outcome);
  if (missing !== undefined) printError(missing);
}

/**
 * Tells the audit log of an action that a command begins. A Redis that refuses the entry is told on standard error once
 * the action is carried out: one that fails has an error of its own.
 */
export async function recordStarted<Result>(
  audit: Pick<AuditLog, "append">,
  action: AuditedAction,
  work: () => Promise<Result>,
): Promise<Result> {
  const missing = await appendCommand(audit, action, "sent");
  const result = await work();
  if (missing !== undefined) printError(missing);
  return result;
}

/** Resolves with a line for people when Redis refused the entry. */
async function appendCommand(
  audit: Pick<AuditLog, "append">,
  action: AuditedAction,
  outcome: "done" | "sent",
): Promise<string | undefined> {
  const host = hostname();
  try {
    await audit.append({ ...action, who: `cli:${userName()}@${host}`, from: host, outcome });
    return undefined;
  } catch (error) {
    return `This is not in the audit log: ${explain(error)}\n`;
  }
}

/** The name of the user; its number where the system knows no name, as in some containers. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}
