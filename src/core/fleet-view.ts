import { brokenModels } from "./fleet.ts";
import type { BackendAnnouncement, GatewayAnnouncement, QueueReading, WorkerAnnouncement } from "./fleet.ts";
import { backendState, isSilent, offersOf, takesTasks } from "./offers.ts";
import type { BackendState } from "./offers.ts";
import { placementWords } from "./placement-words.ts";

/** The fleet as people look at it: on the live page and in `sgnet top`. */

export interface FleetView {
  /** One sentence each, the worst first; empty when all is well. */
  readonly problems: readonly string[];
  readonly totals: Totals;
  readonly models: readonly ModelView[];
  readonly nodes: readonly NodeView[];
}

export interface Totals {
  readonly gateways: number;
  readonly nodes: number;
  readonly backends: number;
  /** Slots of the backends that take tasks, see `takesTasks`. */
  readonly slots: number;
  readonly busy: number;
  /** Tasks that the other backends still run. */
  readonly finishing: number;
  readonly waiting: number;
  readonly claimed: number;
  readonly deadLetters: number;
  /** Through all gateways. */
  readonly tokensPerSecond: number;
}

export interface ModelView {
  readonly model: string;
  readonly waiting: number;
  readonly oldestWaitMs: number;
  readonly claimed: number;
  readonly deadLetters: number;
  /** Through all gateways. */
  readonly tokensPerSecond: number;
  /** Slots of the backends that take its tasks. */
  readonly slots: number;
  /** Hosts of the nodes with such a backend. */
  readonly nodes: readonly string[];
  /** How many such backends there are, and how many of these have it loaded. */
  readonly backends: number;
  readonly resident: number;
}

export interface NodeView {
  readonly worker: string;
  readonly host: string;
  readonly draining: boolean;
  /** True while some backend of it has not answered since it started. */
  readonly starting: boolean;
  /** Ms since the node was last heard of; true when it is longer than a live node is silent. */
  readonly silentMs: number;
  readonly silent: boolean;
  readonly backends: readonly BackendView[];
}

export interface BackendView {
  readonly name: string;
  readonly kind: string;
  readonly healthy: boolean;
  readonly state: BackendState;
  readonly slots: number;
  readonly busy: number;
  /** How many models it has. */
  readonly models: number;
  /** Names of those that are loaded. */
  readonly resident: readonly string[];
  /** Keys of those that it has failed with again and again. */
  readonly broken: readonly string[];
  /** Loaded models and the models that wait, in words; absent for none. */
  readonly placed?: string;
}

export interface FleetParts {
  readonly gateways: readonly GatewayAnnouncement[];
  readonly workers: readonly WorkerAnnouncement[];
  readonly models: readonly QueueReading[];
  /** Ms since 1970. */
  readonly now: number;
}

/** A wait that people should know of, ms. */
const LONG_WAIT_MS = 30_000;

/** Puts together what processes and queues tell. */
export function viewFleet({ gateways, workers, models, now }: FleetParts): FleetView {
  const rates = sumRates(gateways);
  const nodes = workers
    .map((worker) => viewNode(worker, now))
    .toSorted((a, b) => compare(a.host, b.host) || compare(a.worker, b.worker));
  const views = models.map((reading) => viewModel(reading, workers, rates.get(reading.model) ?? 0));
  const totals = sumUp({ gateways, workers, models: views, rates });
  return { problems: findProblems(views, nodes), totals, models: views, nodes };
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
    backends: worker.backends.map((backend) => viewBackend(backend, backendState(worker, backend, now))),
  };
}

function viewBackend(backend: BackendAnnouncement, state: BackendState): BackendView {
  const { name, kind, healthy, slots, busy, models } = backend;
  const resident = models.filter((model) => model.resident).map((model) => model.name);
  const placed = placementWords(backend.placement);
  return {
    name,
    kind,
    healthy,
    state,
    slots,
    busy,
    models: models.length,
    resident,
    broken: brokenModels(backend),
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

function counted(letters: number): string {
  return `${letters} dead letter${letters === 1 ? "" : "s"}`;
}

function findProblems(models: readonly ModelView[], nodes: readonly NodeView[]): string[] {
  const abandoned = models.filter(({ waiting, nodes: hosts }) => waiting > 0 && hosts.length === 0);
  const slow = models.filter((it) => it.oldestWaitMs > LONG_WAIT_MS && it.nodes.length > 0);
  const down = nodes.flatMap((node) =>
    node.backends.filter(({ healthy }) => !healthy).map(({ name }) => ({ name, host: node.host })),
  );
  const failing = nodes.flatMap(({ host, backends }) =>
    backends
      .filter(({ broken }) => broken.length > 0)
      .map(({ name, broken }) => `Backend ${name} of ${host} fails with ${broken.join(", ")}.`),
  );
  return [
    ...(nodes.length === 0 ? ["No worker is there: start one with sgnet worker."] : []),
    ...abandoned.map(({ model, waiting }) => `${waiting} wait for ${model}, which no node offers now.`),
    ...down.map(({ name, host }) => `Backend ${name} of ${host} is down.`),
    ...failing,
    ...nodes
      .filter(({ silent }) => silent)
      .map(({ host, silentMs }) => `${host} has been silent for ${Math.round(silentMs / 1000)} s.`),
    ...slow.map(
      ({ model, oldestWaitMs }) =>
        `${model} is behind: the first in its queue has waited ${Math.round(oldestWaitMs / 1000)} s.`,
    ),
    ...models
      .filter(({ deadLetters }) => deadLetters > 0)
      .map(({ model, deadLetters }) => `${counted(deadLetters)} of ${model}: see sgnet dead list.`),
    ...nodes.filter(({ starting }) => starting).map(({ host }) => `${host} is getting ready.`),
    ...nodes
      .filter(({ draining }) => draining)
      .map(({ host }) => `${host} finishes its work and takes no more.`),
  ];
}
