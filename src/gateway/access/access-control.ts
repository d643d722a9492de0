import { systemAmbient } from "../../core/ambient.ts";
import type { Settings } from "../../config/settings.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { Stores } from "../../redis/stores.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import type { Log } from "../../telemetry/log.ts";
import { Keyring } from "../http/keyring.ts";
import type { RecordedKeys } from "../http/keyring.ts";
import { Budgets } from "./budgets.ts";
import { LimitChecks } from "./limit-checks.ts";
import { OpenSlots } from "./open-slots.ts";
import { RateSlices } from "./rate-slices.ts";
import { UsageLedger } from "./usage-ledger.ts";

/** The part of a gateway that decides by keys: the rights of each request, and its limits. */
export interface AccessControl {
  readonly keyring: Keyring;
  /** The keys that have records. */
  readonly records: Pick<RecordedKeys, "isEmpty">;
  readonly limits: LimitChecks;
  readonly usage: UsageLedger;
  readonly budgets: Budgets;
  /** Returns what the limits have in Redis. Call when no request is open. Never rejects. */
  readonly stop: () => Promise<void>;
}

/** The links to Redis that keys and limits use. */
export interface AccessLinks {
  /** Names this gateway. */
  readonly tag: string;
  readonly commands: Pick<Connection, "onReconnect">;
  readonly stores: Pick<Stores, "openSlots" | "rates" | "usage">;
  /** Stores of the connection for subscriptions. */
  readonly listening: Pick<Stores, "openSlots">;
  readonly log: Log;
  readonly metrics: Pick<GatewayMetrics, "sliceCalled">;
}

/** Opens the keys of the environment and those with records, and all limits. */
export function openAccessControl(
  settings: Pick<Settings, "apiKeys" | "adminKeys">,
  { tag, commands, stores, listening, log, metrics }: AccessLinks,
  records: RecordedKeys,
): AccessControl {
  const { mono } = systemAmbient;
  const usage = new UsageLedger({ store: stores.usage, tag, mono, log });
  commands.onReconnect((moved) => {
    if (moved) usage.doubt();
  });
  const budgets = new Budgets({ ledger: usage, log });
  const openSlots = new OpenSlots({
    tag,
    store: stores.openSlots,
    listening: listening.openSlots,
    connection: commands,
    mono,
  });
  const rates = new RateSlices({ rates: stores.rates, mono, onCall: metrics.sliceCalled });
  return {
    keyring: new Keyring(settings, records),
    records,
    limits: new LimitChecks([openSlots, budgets, rates]),
    usage,
    budgets,
    stop: async () => {
      await Promise.all([openSlots.stop(), rates.stop(), usage.stop()]);
    },
  };
}
