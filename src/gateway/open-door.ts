import type { Settings } from "../config/settings.ts";
import type { Log } from "../telemetry/log.ts";
import { isLoopback } from "./origin.ts";

/** Returns what is wrong with letting in everyone who reaches the gateway. Undefined with keys, or on loopback only. */
export function openDoor({ host, apiKeys }: Pick<Settings, "host" | "apiKeys">): string | undefined {
  if (apiKeys !== "" || isLoopback(host)) return undefined;
  return `no key is set, and everyone who reaches ${host} is served: set SGNET_API_KEY, or HOST=127.0.0.1`;
}

/** Warns, once, of a gateway that serves everyone: that is seldom meant. */
export function warnOfOpenDoor(settings: Pick<Settings, "host" | "apiKeys">, log: Pick<Log, "warn">): void {
  const problem = openDoor(settings);
  if (problem !== undefined) log.warn(problem);
}
