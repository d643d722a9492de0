import { failingQueues } from "../../core/fleet.ts";
import type {
  BackendAnnouncement,
  GatewayAnnouncement,
  QueueReading,
  TenantNow,
  WorkerAnnouncement,
} from "../../core/fleet.ts";
import { backendHealth, isSilent, offersOf, takesTasks } from "../../core/offers.ts";
import type { BackendHealth } from "../../core/offers.ts";
import { findProblems } from "./fleet-problems.ts";
import { placementText } from "./placement-text.ts";

/** The fleet as the live page and `sgnet top` show it. */

export interface FleetView {
  /** One sentence each, the most severe first. Empty when all is well. */
  readonly problems: readonly string[];
  readonly totals: Totals;
  readonly models: readonly ModelView[];
  readonly nodes: readonly NodeView[];
  /** Tenants with open requests or tokens, the busiest first. Absent without any. */
  readonly tenants?: readonly TenantView[];
}

export interface TenantView extends TenantNow {
  readonly tenant: string;
}

export interface Totals {
  readonly gateways: number;
  readonly nodes: number;
  readonly backends: number;
  /** Slots of the backends that accept tasks, see `takesTasks`. */
  readonly slots: number;
  readonly busy: number;
  /** Tasks that run on other backends. */
  readonly finishing: number;
  readonly waiting: number;
  readonly claimed: number;
  readonly deadLetters: number;
  /** Over all gateways. */
  readonly tokensPerSecond: number;
}

export interface ModelView {
  readonly model: string;
  readonly waiting: number;
  readonly oldestWaitMs: number;
  readonly claimed: number;
  readonly deadLetters: number;
  /** Over all gateways. */
  readonly tokensPerSecond: number;
  /** Slots of the backends that accept its tasks. */
  readonly slots: number;
  /** Hosts of the nodes with these backends. */
  readonly nodes: readonly string[];
  /** Number of these backends, and of those that have the model in memory. */
  readonly backends: number;
  readonly resident: number;
}

export interface NodeView {
  readonly worker: string;
  readonly host: string;
  readonly draining: boolean;
  /** True while a backend has not answered since the start of the node. */
  readonly starting: boolean;
  /** Ms since the last announcement, and true when that is longer than for a live node. */
  readonly silentMs: number;
  readonly silent: boolean;
  readonly backends: readonly BackendView[];
}

export interface BackendView {
  readonly name: string;
  readonly kind: string;
  readonly healthy: boolean;
  readonly state: BackendHealth;
  readonly slots: number;
  readonly busy: number;
  /** Number of its models. */
  readonly models: number;
  /** Names of its loaded models. */
  readonly resident: readonly string[];
  /** Queues that it keeps failing. */
  readonly broken: readonly string[];
  /** Loaded and waiting models in words. Absent: none. */
  readonly placed?: string;
}

export interface FleetParts {
  readonly gateways: readonly GatewayAnnouncement[];
  readonly workers: readonly WorkerAnnouncement[];
  readonly models: readonly QueueReading[];
  /** Ms since 1970. */
  readonly now: number;
}

/** Combines announcements and queue readings. */
export function viewFleet({ gateways, workers, models, now }: FleetParts): FleetView {
  const rates = sumRates(gateways);
  const nodes = workers
    .map((worker) => viewNode(worker, now))
    .toSorted((a, b) => compare(a.host, b.host) || compare(a.worker, b.worker));
  const views = models.map((reading) => viewModel(reading, workers, rates.get(reading.model) ?? 0));
  const totals = sumUp({ gateways, workers, models: views, rates });
  const tenants = sumTenants(gateways);
  const view = { problems: findProblems(views, nodes), totals, models: views, nodes };
  return tenants.length === 0 ? view : { ...view, tenants };
}

/** The use of each tenant now, over all gateways. */
function sumTenants(gateways: readonly GatewayAnnouncement[]): TenantView[] {
  const sums = new Map<string, TenantView>();
  for (const [tenant, now] of gateways.flatMap(({ tenants = {} }) => Object.entries(tenants))) {
    const { open, tokensPerSecond } = sums.get(tenant) ?? { open: 0, tokensPerSecond: 0 };
    const rate = tokensPerSecond + now.tokensPerSecond;
    sums.set(tenant, { tenant, open: open + now.open, tokensPerSecond: rate });
  }
  return Array.from(sums.values()).toSorted(
    (a, b) => b.tokensPerSecond - a.tokensPerSecond || b.open - a.open || compare(a.tenant, b.tenant),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Tokens per second by model, over all gateways. */
function sumRates(gateways: readonly GatewayAnnouncement[]): Map<string, number> {
  const rates = new Map<string, number>();
  for (const { tokensPerSecond } of gateways) {
    for (const [model, rate] of Object.entries(tokensPerSecond ?? {})) {
      rates.set(model, (rates.get(model) ?? 0) + rate);
    }
  }
  return rates;
}

function viewNode(worker: WorkerAnnouncement, now: number): NodeView {
  const silentMs = Math.max(0, now - worker.seenAt);
  return {
    worker: worker.id,
    host: worker.host,
    draining: worker.draining,
    starting: worker.starting === true,
    silentMs,
    silent: isSilent(worker, now),
    backends: worker.backends.map((backend) => viewBackend(backend, backendHealth(worker, backend, now))),
  };
}

function viewBackend(backend: BackendAnnouncement, state: BackendHealth): BackendView {
  const { name, kind, healthy, slots, busy, models } = backend;
  const resident = models.filter((model) => model.resident).map((model) => model.name);
  const placed = placementText(backend.placement);
  return {
    name,
    kind,
    healthy,
    state,
    slots,
    busy,
    models: models.length,
    resident,
    broken: failingQueues(backend),
    ...(placed === "" ? {} : { placed }),
  };
}

function viewModel(
  reading: QueueReading,
  workers: readonly WorkerAnnouncement[],
  tokensPerSecond: number,
): ModelView {
  const { model, waiting, oldestWaitMs, claimed, deadLetters } = reading;
  const offers = offersOf(workers, model);
  return {
    model,
    waiting,
    oldestWaitMs: Math.round(oldestWaitMs),
    claimed,
    deadLetters,
    tokensPerSecond,
    slots: sum(offers.map(({ slots }) => slots)),
    nodes: [...new Set(offers.map(({ worker }) => worker.host))].toSorted(),
    backends: offers.length,
    resident: offers.filter(({ card }) => card.resident).length,
  };
}

function sumUp(parts: {
  readonly gateways: readonly GatewayAnnouncement[];
  readonly workers: readonly WorkerAnnouncement[];
  readonly models: readonly ModelView[];
  readonly rates: ReadonlyMap<string, number>;
}): Totals {
  const backends = parts.workers.flatMap((worker) => worker.backends);
  const taking = parts.workers.flatMap((worker) =>
    worker.backends.filter((backend) => takesTasks(worker, backend)),
  );
  const busy = sum(taking.map((it) => it.busy));
  return {
    gateways: parts.gateways.length,
    nodes: parts.workers.length,
    backends: backends.length,
    slots: sum(taking.map(({ slots }) => slots)),
    busy,
    finishing: sum(backends.map((it) => it.busy)) - busy,
    waiting: sum(parts.models.map(({ waiting }) => waiting)),
    claimed: sum(parts.models.map(({ claimed }) => claimed)),
    deadLetters: sum(parts.models.map(({ deadLetters }) => deadLetters)),
    tokensPerSecond: sum([...parts.rates.values()]),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
