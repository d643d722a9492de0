import type { Settings } from "../config/settings.ts";
import { prepareHttpEnvironment } from "../config/environment.ts";
import { startGateway } from "../gateway/gateway.ts";
import { openLog } from "../telemetry/log.ts";
import { startWithRedis, withRedis } from "./redis-url.ts";
import { runService } from "./service.ts";
import { startWithSpans } from "./spans.ts";

/** Runs a gateway until asked to stop. Resolves with the exit code. */
export async function runGateway(given: Settings): Promise<number> {
  const settings = await withRedis(given);
  const log = openLog({ level: settings.logLevel, format: settings.logFormat }).with({ process: "gateway" });
  prepareHttpEnvironment(settings.maxHeadBytes);
  return runService({
    log,
    start: () =>
      startWithSpans({ settings, log, name: "sgnet-gateway" }, (tracing) =>
        startWithRedis(given, settings.redisUrl, () => startGateway({ settings, log, tracing })),
      ),
    portOf: ({ port }) => port,
  });
}
