import type { Connection } from "../redis/connection/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { missingRights, ROLES, userOf } from "../redis/inspect/rights.ts";
import type { Role, SampleCommand } from "../redis/inspect/rights.ts";
import type { Finding } from "./finding.ts";

/** Most missing rights in a line. One is often the reason for the others. */
const NAMED = 5;

/** An observer that lacks more rights than this for other roles is meant to be only an observer. */
const FEW = 8;

interface Lack {
  readonly role: Role;
  readonly missing: readonly SampleCommand[];
}

/** Checks the rights of the Redis user. Without an answer from Redis there is no finding. */
export async function checkRights(connection: Connection, keys: Keys): Promise<readonly Finding[]> {
  try {
    const user = await userOf(connection);
    const lacks = await Promise.all(
      ROLES.map(async (role) => ({ role, missing: await missingRights(connection, keys, { user, role }) })),
    );
    return [judgeRights(user, lacks)];
  } catch {
    return [];
  }
}

/** The finding about a Redis user. @param lacks missing rights per role */
export function judgeRights(user: string, lacks: readonly Lack[]): Finding {
  const about = "redis";
  const able = lacks.filter(({ missing }) => missing.length === 0).map(({ role }) => role);
  const [nearest] = lacks
    .filter(({ role }) => role !== "observer")
    .toSorted((a, b) => a.missing.length - b.missing.length);
  const lacking = nearest?.missing.length ?? 0;
  if (lacking === 0 || (able.length > 0 && lacking > FEW)) {
    return { ok: true, about, text: `user ${user} has the rights of ${able.join(", ")}` };
  }
  const named = nearest?.missing.slice(0, NAMED).map((sample) => sample.slice(0, 2).join(" ")) ?? [];
  const text = `user ${user} lacks rights of a ${nearest?.role}: ${named.join(", ")}: see docs/redis-setup.md.`;
  return { ok: false, about, text };
}
