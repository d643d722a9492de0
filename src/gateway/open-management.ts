import { systemAmbient } from "../core/ambient.ts";
import type { Fault } from "../core/fault.ts";
import { KeyAdministration } from "../redis/access/key-administration.ts";
import type { Stores } from "../redis/stores.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { AccessControl } from "./access/access-control.ts";
import type { Auditor } from "./access/auditor.ts";
import { auditRoute } from "./admin/audit-route.ts";
import { keyRoutes } from "./admin/key-routes.ts";
import { tenantRoutes } from "./admin/tenant-routes.ts";
import { adminRoutes } from "./dead-letters/admin-routes.ts";
import type { Catalogue } from "./fleet/catalogue.ts";
import { countedRoutes } from "./models/counted-routes.ts";
import { ManagementRequests } from "./models/management-requests.ts";
import type { Route } from "./http/http.ts";
import { managementRoutes } from "./models/management.ts";
import { ShowCache } from "./models/show-cache.ts";
import type { RequestPath } from "./requests/assembly.ts";

/** Opens Ollama's management, which workers carry out, and the admin paths of the live page. */
export function openManagement(parts: {
  catalogue: Catalogue;
  path: RequestPath;
  access: Pick<AccessControl, "keyring" | "limits">;
  stores: Pick<Stores, "access" | "audit" | "control" | "letters" | "queue">;
  adminKeys: string;
  auditor: Auditor;
  metrics: GatewayMetrics;
  unknownModel: (fault: Fault) => Fault;
}): readonly Route[] {
  const { catalogue, path, access, stores, metrics, unknownModel, auditor, adminKeys } = parts;
  const { keyring } = access;
  const { mono } = systemAmbient;
  const managementRequests = new ManagementRequests({
    ...path.sender,
    mono,
    dropQueue: (key) => {
      stores.queue.drop(key).catch(() => undefined);
    },
  });
  catalogue.onRefresh(() => {
    managementRequests.checkWorkers(catalogue.workers);
  });
  const show = new ShowCache({ catalogue, managementRequests, unknownModel, mono });
  metrics.observe("show_cache_bytes", "Bytes of answers to /api/show that are kept", () => show.keptBytes);
  const orders = managementRoutes({
    catalogue,
    managementRequests,
    show,
    keyring,
    auditor,
    unknownModel,
    unready: () => path.availability.unready() ?? path.overloaded(),
  });
  const unready = (): Fault | undefined => path.availability.unready();
  const admin = { keyring, auditor, unready };
  const { now } = systemAmbient;
  const records = new KeyAdministration(stores.access, now);
  const recordHost = { ...admin, records, adminKeys, now };
  const adminPaths = [
    ...adminRoutes({ ...admin, stores, catalogue, dispatcher: path.sender }),
    ...keyRoutes(recordHost),
    ...tenantRoutes(recordHost),
    auditRoute({ ...admin, audit: stores.audit }),
  ];
  return [
    ...countedRoutes(orders, access),
    ...adminPaths.flatMap((route): Route[] => [{ role: "admin", ...route }]),
  ];
}
