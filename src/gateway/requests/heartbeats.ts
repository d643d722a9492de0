import type { Settings } from "../../config/settings.ts";
import { heartbeatOf } from "../../protocols/heartbeats.ts";
import type { Exchange } from "./exchange.ts";

/** Sends signs of life to clients whose answer has had no bytes for a while. */
export class Heartbeats {
  readonly #silenceMs: number;
  readonly #ndjson: boolean;
  readonly #now: () => number;

  /** @param now ms since 1970 */
  constructor(settings: Pick<Settings, "heartbeatMs" | "ndjsonHeartbeat">, now: () => number) {
    this.#silenceMs = settings.heartbeatMs;
    this.#ndjson = settings.ndjsonHeartbeat;
    this.#now = now;
  }

  /** Call twice a second for each open exchange. */
  check(exchange: Exchange): void {
    if (this.#silenceMs === 0) return;
    exchange.beat(this.#silenceMs, () =>
      heartbeatOf(exchange.task, { ndjson: this.#ndjson, now: this.#now() }),
    );
  }
}
