import { parseBackends } from "../backends/address.ts";
import { openBackends, watchLocal } from "../backends/open.ts";
import type { Settings } from "../config/settings.ts";
import { openLog } from "../telemetry/log.ts";
import { startWorker } from "../worker/worker.ts";
import { startWithRedis, withConnection, withRedis } from "./redis-url.ts";
import { runService } from "./service.ts";
import { startWithSpans } from "./spans.ts";

/** Runs a worker until asked to stop. Resolves with the exit code. */
export async function runWorker(given: Settings): Promise<number> {
  const settings = await withRedis(given);
  const log = openLog({ level: settings.logLevel, format: settings.logFormat }).with({ process: "worker" });
  return runService({
    log,
    start: async () => {
      // A wrong list is told first, then a Redis that is away: before backends are waited for or a model is fetched.
      parseBackends(settings.backends);
      await withConnection(given, "worker", async () => Promise.resolve());
      const backends = await openBackends({ settings, log });
      const watch = watchLocal({ settings, log }, backends);
      return startWithSpans({ settings, log, name: "sgnet-worker" }, (tracing) =>
        startWithRedis(given, settings.redisUrl, () =>
          startWorker({ settings, log, backends, watch, tracing }),
        ),
      );
    },
  });
}
