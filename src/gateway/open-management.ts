import { systemAmbient } from "../core/ambient.ts";
import type { Fault } from "../core/fault.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { dropQueue } from "../redis/task-stream.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { adminRoutes } from "./admin-routes.ts";
import type { Catalogue } from "./catalogue.ts";
import { Errands } from "./errands.ts";
import type { Route } from "./http.ts";
import type { Keyring } from "./keyring.ts";
import { managementRoutes } from "./management.ts";
import { ShowView } from "./show-view.ts";
import type { Switchboard } from "./switchboard.ts";

/** Ollama's management, carried out by the workers, and what the live page lets admins do. */
export function openManagement(parts: {
  catalogue: Catalogue;
  board: Switchboard;
  keyring: Keyring;
  commands: Connection;
  keys: Keys;
  metrics: GatewayMetrics;
  unknownModel: (fault: Fault) => Fault;
}): readonly Route[] {
  const { catalogue, board, keyring, commands, keys, metrics, unknownModel } = parts;
  const errands = new Errands({
    now: () => board.now(),
    mono: () => board.mono(),
    newTaskId: () => board.newTaskId(),
    accept: (task, key, reply) => {
      board.accept(task, key, reply);
    },
    dropQueue: (key) => {
      dropQueue(commands, keys, key).catch(() => undefined);
    },
  });
  catalogue.onRefresh(() => {
    errands.workersAre(catalogue.workers);
    board.endUnread();
  });
  const show = new ShowView({ catalogue, errands, unknownModel, mono: systemAmbient.mono });
  metrics.observe("show_cache_bytes", "Bytes of answers to /api/show that are kept", () => show.keptBytes);
  const orders = managementRoutes({
    catalogue,
    errands,
    show,
    keyring,
    unknownModel,
    unready: () => board.unready() ?? board.overloaded(),
  });
  return [...orders, ...adminRoutes({ connection: commands, keys, keyring, catalogue, board })];
}
