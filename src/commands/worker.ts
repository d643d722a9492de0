import { parseBackends } from "../backends/address.ts";
import { openBackends, searchLocalServers } from "../backends/open.ts";
import type { Backend } from "../backends/backend.ts";
import type { Settings } from "../config/settings.ts";
import { productVersion } from "../config/version.ts";
import { systemAmbient } from "../core/ambient.ts";
import { Keys } from "../redis/keys.ts";
import { openStores } from "../redis/stores.ts";
import { openLog } from "../telemetry/log.ts";
import type { Log } from "../telemetry/log.ts";
import { StartingNotice } from "../worker/starting-notice.ts";
import { newWorkerId, startWorker } from "../worker/worker.ts";
import { startWithRedis, withConnection, withRedis } from "./redis-discovery.ts";
import { runService } from "./service.ts";
import { startWithSpans } from "./spans.ts";

/** Runs a worker until it is stopped. Resolves with the exit code. */
export async function runWorker(given: Settings): Promise<number> {
  const settings = await withRedis(given);
  const log = openLog({ level: settings.logLevel, format: settings.logFormat }).with({ process: "worker" });
  return runService({
    log,
    start: async () => {
      // Errors of the list come first, then those of Redis: both before the wait for backends or a download.
      parseBackends(settings.backends);
      const id = newWorkerId();
      const backends = await openAnnounced(given, { settings, log, id });
      const watch = searchLocalServers({ settings, log }, backends);
      return startWithSpans({ settings, log, name: "sgnet-worker" }, (tracing) =>
        startWithRedis(given, settings.redisUrl, () =>
          startWorker({ settings, log, backends, watch, tracing, id }),
        ),
      );
    },
  });
}

/** Opens the backends. Meanwhile the fleet knows that a worker is starting. */
async function openAnnounced(
  given: Settings,
  { settings, log, id }: { readonly settings: Settings; readonly log: Log; readonly id: string },
): Promise<readonly Backend[]> {
  return withConnection(given, "worker", async (connection) => {
    const { startupMs, prefix } = settings;
    const about = { worker: id, version: productVersion(), startupMs, ambient: systemAmbient };
    const notice = new StartingNotice({ stores: openStores(connection, new Keys(prefix)), ...about });
    try {
      const backends = await openBackends({ settings, log });
      await notice.stop();
      return backends;
    } catch (error) {
      await notice.withdraw();
      throw error;
    }
  });
}
