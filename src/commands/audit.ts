import { isoTime } from "../core/iso-time.ts";
import type { Settings } from "../config/settings.ts";
import type { DatedAuditEntry } from "../core/access/audit-entry.ts";
import { MOST_AUDITED } from "../redis/audit-log.ts";
import { Keys } from "../redis/keys.ts";
import { openStores } from "../redis/stores.ts";
import { print, printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";
import { renderTable } from "./table.ts";

/** Entries that are shown when no limit is given. */
const LIMIT = 50;

/** Shows the latest actions of admins, the newest first. Resolves with the exit code. */
export async function runAudit(
  settings: Settings,
  { limit, json }: { readonly limit: string | undefined; readonly json: boolean },
): Promise<number> {
  const count = limit === undefined ? LIMIT : countOf(limit);
  return withConnection(settings, "audit", async (connection) => {
    const { audit } = openStores(connection, new Keys(settings.prefix));
    const entries = await audit.latest({ count });
    if (json) printJson(entries);
    else print(renderAudit(entries));
    return 0;
  });
}

function countOf(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MOST_AUDITED) return count;
  throw new Error(`--limit must be a whole number from 1 to ${MOST_AUDITED}, not ${JSON.stringify(text)}.`);
}

/** A table of entries. */
export function renderAudit(entries: readonly DatedAuditEntry[]): string {
  const head = ["when", "who", "from", "action", "target", "changes", "outcome"];
  const rows = entries.map(({ at, who, from, action, target, changes, outcome, more }) => [
    isoTime(at),
    who,
    from,
    action,
    target === "" ? "-" : target,
    changesText(changes),
    more === undefined ? outcome : `${outcome} (and ${more} more)`,
  ]);
  return renderTable("Actions of admins", head, rows);
}

/** Changed members in one line: `rpm=60 expires=null`. */
function changesText(changes: DatedAuditEntry["changes"]): string {
  const texts = Object.entries(changes ?? {}).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return texts.join(" ") || "-";
}
