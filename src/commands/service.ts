import { isSupervised } from "../config/environment.ts";
import type { Log } from "../telemetry/log.ts";
import { processStalls } from "../telemetry/stall-detector.ts";
import { explain } from "./explain.ts";
import { freeMemoryWhenIdle } from "./idle-memory.ts";
import { listenForStop } from "./stop-request.ts";

/** Time for a start that is under way when the process is told to stop, ms. */
const START_PATIENCE_MS = 5000;

/** A started gateway or worker. */
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

/** Result of a start, sent once to a parent with a channel: `sgnet up`, a test, a process manager. */
interface StartOutcome {
  readonly port?: number;
  /** Reason of a failed start; absent when the process is ready. */
  readonly problem?: string;
}

/** Runs a service until it is stopped. Resolves with the exit code. */
export async function runService<Started extends Service>(options: ServiceOptions<Started>): Promise<number> {
  const { log } = options;
  const stop = listenForStop();
  const starting = options.start();
  try {
    const started = await Promise.race([starting, stop.requested]);
    freeMemoryWhenIdle();
    if (started !== undefined) {
      await reportToParent(options.portOf === undefined ? {} : { port: options.portOf(started) });
      await stop.requested;
    }
    log.info("stopping");
    if (started === undefined && !(await processStalls.within(START_PATIENCE_MS, starting))) {
      // Nothing is open yet that has to be closed with care.
      log.warn("the start is given up: it waits for Redis", { waitedMs: START_PATIENCE_MS });
      process.exit(0);
    }
    await (await starting).stop();
    log.info("stopped");
    return 0;
  } catch (error) {
    await reportToParent({ problem: explain(error) });
    // `sgnet up` prints the problem; printed here too, it would look like two problems.
    if (!isSupervised()) throw error;
    return 1;
  } finally {
    stop.release();
    if (process.connected) process.disconnect();
  }
}

/** Resolves when the message is sent; does nothing without an open channel. */
async function reportToParent(outcome: StartOutcome): Promise<void> {
  if (!process.connected) return;
  await new Promise((resolve) => process.send?.(outcome, resolve));
}
