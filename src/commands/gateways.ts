import { freePort } from "../local-redis/free-port.ts";
import type { Settings } from "../config/settings.ts";
import { openLog } from "../telemetry/log.ts";
import type { Log } from "../telemetry/log.ts";
import { listenProblem } from "./listening.ts";
import { launchChildProcess } from "./child-process.ts";
import { runService } from "./service.ts";
import type { Service } from "./service.ts";
import { Supervised } from "./supervised.ts";

const FIRST_DELAY_MS = 500;

/**
 * Runs several gateway processes on one port until they are stopped. A process that ends by itself is started again.
 * Resolves with the exit code.
 */
export async function runGateways(settings: Settings, count: number): Promise<number> {
  const log = openLog({ level: settings.logLevel, format: settings.logFormat }).with({ process: "gateways" });
  return runService({
    log,
    start: () => startGateways(settings, { count, log }),
    portOf: ({ port }) => port,
  });
}

/** The settings of one of `count` gateway processes on a port. */
export function ofSharedPort(settings: Settings, count: number): Settings {
  return Object.freeze({ ...settings, processes: String(count) });
}

/**
 * Starts the processes. When one does not start, the others are stopped and this rejects with its problem. With port 0,
 * all processes share one free port.
 */
async function startGateways(
  given: Settings,
  { count, log }: { readonly count: number; readonly log: Log },
): Promise<Service & { readonly port: number }> {
  const problem = await listenProblem(given.host, given.port);
  if (problem !== undefined) throw new Error(problem);
  const port = given.port === 0 ? await freePort(given.host) : given.port;
  const settings = ofSharedPort(Object.freeze({ ...given, port }), count);
  const members = Array.from(
    { length: count },
    (_, index) =>
      new Supervised({
        name: `gateway ${index + 1}`,
        launch: () => launchChildProcess("gateway", settings),
        log,
        firstDelayMs: FIRST_DELAY_MS,
      }),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(members.map(async (member) => member.stop()));
  };
  try {
    await Promise.all(members.map(async (member) => member.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  log.info("gateways are ready", { host: settings.host, port, processes: count });
  return { port, stop };
}
