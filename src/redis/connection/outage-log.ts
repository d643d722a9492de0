import { stallText } from "../../telemetry/stall-report.ts";
import type { Log } from "../../telemetry/log.ts";
import { processStalls } from "../../telemetry/stall-detector.ts";
import type { Connection } from "./connection.ts";
import { refusalOf } from "./refusal.ts";

function ownReason(): string | undefined {
  const ms = processStalls.connectionBreakingMs;
  return ms === 0 ? undefined : `this process ${stallText(ms)}, and the connection broke meanwhile`;
}

/** Logs once per outage and reason that a process has lost its Redis, and logs its return. */
export class OutageLog {
  readonly #log: Log;
  readonly #away = new Set<Connection>();
  readonly #logged = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  watch(connection: Connection): void {
    connection.onDown((error) => {
      this.#away.add(connection);
      this.#warn(refusalOf(error) ?? ownReason() ?? "it cannot be reached, or the connection broke");
    });
    connection.onReconnect(() => {
      if (!this.#away.delete(connection) || this.#away.size > 0) return;
      this.#logged.clear();
      this.#log.info("Redis is back");
    });
  }

  #warn(reason: string): void {
    if (this.#logged.has(reason)) return;
    this.#logged.add(reason);
    this.#log.warn("Redis is away", { reason });
  }
}
