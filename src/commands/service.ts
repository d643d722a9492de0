import { isOwnChild } from "../config/environment.ts";
import type { Log } from "../telemetry/log.ts";
import { explain } from "./explain.ts";
import { giveBackAtRest } from "./memory-at-rest.ts";
import { listenForStop } from "./stop-request.ts";

/** What a started gateway or worker offers. */
export interface Service {
  /** Lets running tasks finish, within the drain limit. */
  stop(): Promise<void>;
}

export interface ServiceOptions<Started extends Service> {
  readonly log: Log;
  readonly start: () => Promise<Started>;
  /** The port of a started gateway, for a parent that let the system choose it. */
  readonly portOf?: (started: Started) => number;
}

/** What a process tells, once, a parent that started it with a channel: `sgnet up`, a test, a process manager. */
interface StartOutcome {
  readonly port?: number;
  /** Why it could not start; absent when it is ready. */
  readonly problem?: string;
}

/** Runs a service until it is asked to stop. Resolves with the exit code. */
export async function runService<Started extends Service>(options: ServiceOptions<Started>): Promise<number> {
  const { log } = options;
  const stop = listenForStop();
  const starting = options.start();
  try {
    const started = await Promise.race([starting, stop.requested]);
    giveBackAtRest();
    if (started !== undefined) {
      await tell(options.portOf === undefined ? {} : { port: options.portOf(started) });
      await stop.requested;
    }
    log.info("stopping");
    await (await starting).stop();
    log.info("stopped");
    return 0;
  } catch (error) {
    await tell({ problem: explain(error) });
    // `sgnet up` prints it: printed here too, it would look like two problems.
    if (!isOwnChild()) throw error;
    return 1;
  } finally {
    stop.release();
    if (process.connected) process.disconnect();
  }
}

/** Resolves when it is sent; does nothing where there is no channel, or no longer. */
async function tell(outcome: StartOutcome): Promise<void> {
  if (!process.connected) return;
  await new Promise((resolve) => process.send?.(outcome, resolve));
}
