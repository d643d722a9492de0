import { Fault } from "../../core/fault.ts";
import type { AuditLog } from "../../redis/audit-log.ts";
import { adminHandler } from "../access/admin-handler.ts";
import type { AdminGuardHost } from "../access/admin-handler.ts";
import type { Route } from "../http/http.ts";
import { readPageQuery } from "./record-body.ts";

/** Returns the path of the audit log, the newest entry first, page by page. */
export function auditRoute(host: AdminGuardHost & { readonly audit: Pick<AuditLog, "latest"> }): Route {
  const handler = adminHandler(host, "audit.list", async ({ request }) => {
    const { limit, after } = readPageQuery(request);
    if (after !== undefined && !/^\d{1,16}-\d{1,16}$/.test(after)) {
      throw new Fault("invalid_request", "after must be the id of an entry");
    }
    const entries = await host.audit.latest({
      count: limit,
      ...(after === undefined ? {} : { before: after }),
    });
    const last = entries.at(-1);
    const next = entries.length === limit && last !== undefined ? { next: last.id } : {};
    return { body: { entries, ...next } };
  });
  return { method: "GET", path: "/admin/audit", handler };
}
