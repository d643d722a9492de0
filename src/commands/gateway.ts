import { expectsWorker, isSupervised, prepareHttpEnvironment } from "../config/environment.ts";
import type { Settings } from "../config/settings.ts";
import { startGateway } from "../gateway/gateway.ts";
import { openLog } from "../telemetry/log.ts";
import { runGateways } from "./gateways.ts";
import { processCount } from "./process-count.ts";
import { startWithRedis, withRedis } from "./redis-discovery.ts";
import { runService } from "./service.ts";
import { startWithSpans } from "./spans.ts";

/** Runs a gateway, in several processes if configured, until it is stopped. Resolves with the exit code. */
export async function runGateway(given: Settings): Promise<number> {
  const count = processCount(given.processes);
  // A child process gets the same number of processes: it is one of them.
  if (count > 1 && !isSupervised()) return runGateways(given, count);
  const settings = await withRedis(given);
  const log = openLog({ level: settings.logLevel, format: settings.logFormat }).with({ process: "gateway" });
  prepareHttpEnvironment(settings.maxHeadBytes);
  const sharePort = count > 1;
  return runService({
    log,
    start: () =>
      startWithSpans({ settings, log, name: "sgnet-gateway" }, (tracing) =>
        startWithRedis(given, settings.redisUrl, () =>
          startGateway({ settings, log, tracing, sharePort, expectsWorker: expectsWorker() }),
        ),
      ),
    portOf: ({ port }) => port,
  });
}
