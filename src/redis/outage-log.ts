import { stoodStill } from "../core/own-stall.ts";
import type { Log } from "../telemetry/log.ts";
import { ownStalls } from "../telemetry/stall-meter.ts";
import type { Connection } from "./connection.ts";
import { refusalOf } from "./refusal.ts";

function ownReason(): string | undefined {
  const ms = ownStalls.brokeLinks;
  return ms === 0 ? undefined : `this process ${stoodStill(ms)}, and the connection broke meanwhile`;
}

/** Tells once per outage, and per reason, that a process has lost its Redis, and when it has it back. */
export class OutageLog {
  readonly #log: Log;
  readonly #away = new Set<Connection>();
  readonly #told = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  watch(connection: Connection): void {
    connection.onDown((error) => {
      this.#away.add(connection);
      this.#tell(refusalOf(error) ?? ownReason() ?? "it cannot be reached, or the connection broke");
    });
    connection.onReconnect(() => {
      if (!this.#away.delete(connection) || this.#away.size > 0) return;
      this.#told.clear();
      this.#log.info("Redis is back");
    });
  }

  #tell(reason: string): void {
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    this.#log.warn("Redis is away", { reason });
  }
}
