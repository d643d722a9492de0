import { isOwnChild } from "../config/environment.ts";
import type { Log } from "../telemetry/log.ts";
import { explain } from "./explain.ts";
import { listenForStop } from "./stop-request.ts";

/** What a started gateway or worker offers. */
export interface Service {
  /** Lets running tasks finish, within the drain limit. */
  stop(): Promise<void>;
}

export interface ServiceOptions<Started extends Service> {
  readonly log: Log;
  readonly start: () => Promise<Started>;
}

/** What a process tells the `sgnet up` that started it, once. */
interface StartOutcome {
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
    if (started !== undefined) {
      await tell({});
      await stop.requested;
    }
    log.info("stopping");
    await (await starting).stop();
    log.info("stopped");
    return 0;
  } catch (error) {
    // A parent says it in its own words: told twice, it would look like two problems.
    if (!(await tell({ problem: explain(error) }))) throw error;
    return 1;
  } finally {
    stop.release();
    if (process.connected) process.disconnect();
  }
}

/** False when there is no `sgnet up` to tell. */
async function tell(outcome: StartOutcome): Promise<boolean> {
  if (!isOwnChild() || !process.connected) return false;
  return new Promise((resolve) => process.send?.(outcome, (error: Error | null) => resolve(error === null)));
}
