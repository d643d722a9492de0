import type { Settings } from "../config/settings.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { Log } from "../telemetry/log.ts";
import { processStalls } from "../telemetry/stall-detector.ts";
import type { AccessControl } from "./access/access-control.ts";
import type { GatewayAnnouncer } from "./fleet/announcer.ts";
import type { HttpServer } from "./http/server.ts";
import type { MetricsPages } from "./monitor/metrics-pages.ts";
import type { Monitoring } from "./monitor/monitoring.ts";
import type { GatewayLinks, RequestPath } from "./requests/assembly.ts";

/** Time for the last accepted connections to send their requests after the gateway stopped listening, ms. */
const LAST_CALL_MS = 1000;

/**
 * Time for Redis to take the last words of a gateway, ms: a Redis that stands still must not hold it. With
 * {@link LAST_CALL_MS} it is below the 8 s after which `sgnet up` kills a process.
 */
const LAST_WORDS_MS = 3500;

/** The parts of a running gateway that stop one after the other. */
export interface RunningParts {
  // 9 fields: each is stopped in its turn, and the log tells what Redis did not take
  readonly log: Pick<Log, "warn">;
  readonly settings: Pick<Settings, "drainGraceMs" | "drainMs">;
  readonly links: GatewayLinks;
  readonly path: RequestPath;
  readonly access: Pick<AccessControl, "stop">;
  readonly server: HttpServer;
  readonly monitoring: Pick<Monitoring, "stop">;
  readonly pages: Pick<MetricsPages, "stop">;
  readonly announcer: Pick<GatewayAnnouncer, "stop">;
}

/**
 * Returns the function that stops a gateway; later calls share the first stop.
 * @param releases undone at the end, the last first
 */
export function shutdownOf(parts: RunningParts, releases: readonly (() => void)[]): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  return async () => {
    stopping ??= stop(parts, releases);
    return stopping;
  };
}

async function stop(parts: RunningParts, releases: readonly (() => void)[]): Promise<void> {
  const { log, settings, links, path, server, announcer } = parts;
  const { drainGraceMs, drainMs } = settings;
  const { availability } = path;
  server.leave();
  await availability.leave(drainGraceMs);
  server.stopListening();
  await availability.leave(Math.min(drainGraceMs, LAST_CALL_MS));
  links.outageBuffer.close();
  const till = systemAmbient.mono() + drainMs;
  await availability.drain(drainMs);
  await server.flushed(Math.max(0, till - systemAmbient.mono()));
  // Its last removals reach Redis before its own entry goes.
  path.stop();
  const words = lastWords(parts);
  if (!(await processStalls.within(LAST_WORDS_MS, words))) {
    log.warn("Redis did not answer in time: it may lack the usage of the last second", {
      waitedMs: LAST_WORDS_MS,
    });
  }
  announcer.stop();
  server.close();
  for (const release of releases.toReversed()) release();
}

/** All requests are over: their slots and shares go back, and the tasks that have just been ended count as well. */
async function lastWords({ links, access, monitoring, pages, announcer }: RunningParts): Promise<void> {
  await access.stop();
  await monitoring.stop();
  announcer.stop();
  await pages.stop();
  await links.stores.registry.forgetGateway(links.tag).catch(() => undefined);
}
