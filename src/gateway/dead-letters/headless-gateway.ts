import { randomBytes } from "node:crypto";
import type { Settings } from "../../config/settings.ts";
import { productVersion } from "../../config/version.ts";
import { systemAmbient } from "../../core/ambient.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import { Keys } from "../../redis/keys.ts";
import { ANNOUNCE_MS } from "../../redis/registry.ts";
import { openInspection } from "../../redis/inspect/inspection.ts";
import { openStores } from "../../redis/stores.ts";
import { openGatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import type { Log } from "../../telemetry/log.ts";
import { LimitChecks } from "../access/limit-checks.ts";
import { Catalogue } from "../fleet/catalogue.ts";
import type { KnownReaders } from "../requests/destination.ts";
import { openTaskObservers, TaskLog } from "../monitor/task-observers.ts";
import { OutageBuffer } from "../requests/availability.ts";
import type { RerunHost } from "./rerun.ts";
import { Keyring } from "../http/keyring.ts";
import { assembleRequestPath } from "../requests/assembly.ts";

/** A gateway without HTTP, for the tasks of one command. It does not count as a gateway of the fleet. */
export interface HeadlessGateway {
  readonly host: RerunHost;
  /** Returns true when a worker offers this model (by its key) now. */
  serves(model: string): boolean;
  readonly readers: KnownReaders;
  /** Call it when no task is open. The connections stay open. */
  close(): Promise<void>;
}

/**
 * Opens a gateway without HTTP over two connections of its own.
 * @throws Fault `redis_down`
 */
export async function openHeadlessGateway(options: {
  readonly settings: Settings;
  readonly log: Log;
  readonly commands: Connection;
  readonly channel: Connection;
}): Promise<HeadlessGateway> {
  const { settings, log, commands, channel } = options;
  const keys = new Keys(settings.prefix);
  const tag = `g${randomBytes(6).toString("hex")}`;
  const stores = openStores(commands, keys);
  const listening = openStores(channel, keys);
  const taskLog = new TaskLog(openInspection(commands, keys).summaries);
  const catalogue = new Catalogue({
    connection: commands,
    stores,
    tag,
    now: systemAmbient.now,
    memoryMs: settings.modelMemoryMs,
  });
  const outageBuffer = new OutageBuffer([commands, channel]);
  const metrics = openGatewayMetrics({ version: productVersion() });
  const path = assembleRequestPath({
    settings,
    log,
    metrics,
    links: { tag, commands, stores, channel, listening, outageBuffer },
    catalogue,
    access: { keyring: new Keyring({ apiKeys: "", adminKeys: "" }), limits: new LimitChecks([]) },
    observers: [...openTaskObservers({ log, metrics, catalogue }), taskLog],
  });
  await path.start();
  await stores.registry.announceTag(tag);
  await catalogue.start(listening.registry);
  const timer = setInterval(() => {
    // While Redis is away this fails; the next call holds the tag again.
    stores.registry.announceTag(tag).catch(() => undefined);
  }, ANNOUNCE_MS);
  return {
    host: path.sender,
    readers: catalogue,
    serves: (model) => catalogue.offered.has(model),
    close: async () => {
      clearInterval(timer);
      catalogue.stop();
      // All share one connection: once these two have answers, the removals of the stop are done, too.
      path.stop();
      await taskLog.flush();
      await stores.registry.forgetGateway(tag).catch(() => undefined);
    },
  };
}
