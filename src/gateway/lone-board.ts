import { randomBytes } from "node:crypto";
import type { Settings } from "../config/settings.ts";
import { productVersion } from "../config/version.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { Connection } from "../redis/connection.ts";
import { Keys } from "../redis/keys.ts";
import { ANNOUNCE_MS, forgetGateway, holdTag } from "../redis/registry.ts";
import { openGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import { Catalogue } from "./catalogue.ts";
import type { KnownReaders } from "./destination.ts";
import { Meter } from "./meter.ts";
import { Porch } from "./porch.ts";
import type { RerunHost } from "./rerun.ts";
import { Switchboard } from "./switchboard.ts";
import { TaskLog } from "./task-log.ts";
import { Witness } from "./witness.ts";

/** A gateway without HTTP, for the tasks of one command. It is not counted among the gateways of the fleet. */
export interface LoneBoard {
  readonly host: RerunHost;
  /** True when a worker offers this model (by its key) now. */
  serves(model: string): boolean;
  readonly readers: KnownReaders;
  /** To be called when no task is open. The connections stay open. */
  close(): Promise<void>;
}

/** Opens a gateway without HTTP over two connections of its own. Rejects with `redis_down`. */
export async function openLoneBoard(options: {
  readonly settings: Settings;
  readonly log: Log;
  readonly commands: Connection;
  readonly channel: Connection;
}): Promise<LoneBoard> {
  const { settings, log, commands, channel } = options;
  const keys = new Keys(settings.prefix);
  const tag = `g${randomBytes(6).toString("hex")}`;
  const taskLog = new TaskLog({ connection: commands, keys });
  const catalogue = new Catalogue({
    connection: commands,
    keys,
    tag,
    now: systemAmbient.now,
    memoryMs: settings.modelMemoryMs,
  });
  const board = new Switchboard({
    settings,
    log,
    tag,
    keys,
    commands,
    channel,
    porch: new Porch([commands, channel]),
    catalogue,
    metrics: openGatewayMetrics({ version: productVersion() }),
    witness: new Witness({ meter: new Meter(), log: taskLog }),
  });
  catalogue.onRefresh(() => {
    board.endUnread();
  });
  await channel.subscribe(keys.channel(tag), (message) => {
    board.receive(message);
  });
  await holdTag(commands, keys, tag);
  await catalogue.start(channel);
  const timer = setInterval(() => {
    // With Redis away the next one holds it again.
    holdTag(commands, keys, tag).catch(() => undefined);
  }, ANNOUNCE_MS);
  board.start();
  return {
    host: board,
    readers: catalogue,
    serves: (model) => catalogue.offered.has(model),
    close: async () => {
      clearInterval(timer);
      catalogue.stop();
      // On the same connection: when these two are answered, what the board sends at its stop is done too.
      board.stop();
      await taskLog.flush();
      await forgetGateway(commands, keys, tag).catch(() => undefined);
    },
  };
}
