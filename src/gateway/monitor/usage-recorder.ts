import type { Settings } from "../../config/settings.ts";
import { usageOfTask } from "../../core/access/task-usage.ts";
import { attemptsOf } from "../../core/outcome.ts";
import type { Outcome } from "../../core/outcome.ts";
import { tokensOfText } from "../../protocols/request-size.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import type { AccessControl } from "../access/access-control.ts";
import type { UsageLedger } from "../access/usage-ledger.ts";
import type { Catalogue } from "../fleet/catalogue.ts";
import type { Exchange } from "../requests/exchange.ts";
import type { Rejection, TaskObserver } from "../requests/task-observer.ts";
import { LabelledTenants } from "./labelled-tenants.ts";
import type { TokenMeter } from "./token-meter.ts";

export interface UsageRecorderOptions {
  readonly ledger: Pick<UsageLedger, "add">;
  readonly catalogue: Pick<Catalogue, "serves">;
  readonly meter: Pick<TokenMeter, "tokensOf">;
  readonly metrics: Pick<GatewayMetrics, "tenantUsed" | "tenantRefused">;
  readonly tenants: LabelledTenants;
  /** True while no key has a record: then nothing is counted. */
  readonly isOff: () => boolean;
}

/** Opens the recorder of a gateway, and the metrics of its tenants. */
export function openUsageRecorder(
  { tenantMetrics }: Pick<Settings, "tenantMetrics">,
  parts: Pick<UsageRecorderOptions, "catalogue" | "meter"> & {
    readonly access: Pick<AccessControl, "records" | "usage" | "budgets">;
    readonly metrics: GatewayMetrics;
  },
): UsageRecorder {
  const { access, metrics, catalogue, meter } = parts;
  const tenants = new LabelledTenants(tenantMetrics);
  metrics.observeAll("budget_used_ratio", "Used share of the fullest budget of a tenant and its keys", {
    labels: ["tenant", "period"],
    read: () => fullest(access.budgets.shares(), tenants),
  });
  const isOff = (): boolean => access.records.isEmpty;
  return new UsageRecorder({ ledger: access.usage, catalogue, meter, metrics, tenants, isOff });
}

/** The fullest budget for each pair of labels: several tenants may share one. */
function fullest(
  shares: ReturnType<AccessControl["budgets"]["shares"]>,
  tenants: LabelledTenants,
): (readonly [readonly string[], number])[] {
  const found = new Map<string, readonly [readonly string[], number]>();
  for (const { tenant, period, share } of shares) {
    const labels = [tenants.labelOf(tenant), period];
    const id = labels.join(" ");
    found.set(id, [labels, Math.max(share, found.get(id)?.[1] ?? 0)]);
  }
  return [...found.values()];
}

/** Counts what each key uses. Call it before the charges of a task are settled: a budget then misses nothing. */
export class UsageRecorder implements TaskObserver {
  readonly needsKey = true;
  readonly #options: UsageRecorderOptions;

  constructor(options: UsageRecorderOptions) {
    this.#options = options;
  }

  ended(exchange: Exchange, outcome: Outcome): void {
    const { ledger, catalogue, meter, metrics, tenants, isOff } = this.#options;
    const { task, model } = exchange;
    const { tenant, keyId: key } = task;
    if (tenant === undefined || key === undefined || isOff()) return;
    const counts = usageOfTask({
      usage: outcome.end?.usage,
      code: outcome.fault?.code,
      hasBegun: attemptsOf(exchange, outcome) > 0,
      estimate: {
        inputTokens: () => tokensOfText(exchange.bodyBytes),
        outputTokens: () => meter.tokensOf(exchange),
      },
    });
    ledger.add({ tenant, key, model: catalogue.serves(model) ? model : "other" }, counts);
    metrics.tenantUsed(tenants.labelOf(tenant), counts, outcome.fault?.code ?? "ok");
  }

  rejected({ tenant, fault }: Rejection): void {
    if (tenant === undefined || this.#options.isOff()) return;
    this.#options.metrics.tenantRefused(this.#options.tenants.labelOf(tenant), fault.code);
  }
}
