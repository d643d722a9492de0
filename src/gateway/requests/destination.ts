import { Fault, toFault } from "../../core/fault.ts";
import { ABILITIES, abilityOf, needsAbility, modelOf, queueFor, servesQueue } from "../../core/ability.ts";
import type { AbilityEndpoint } from "../../core/ability.ts";
import type { ModelCard } from "../../core/model.ts";
import type { Endpoint, Task } from "../../core/task.ts";
import { modelNotFound } from "../../protocols/ollama/faults.ts";
import { surfaceOf } from "../../protocols/openai/surface.ts";

/** The model and queue of a request. */
export interface Destination {
  /** Model key. */
  readonly model: string;
  /** The name of the queue. */
  readonly queue: string;
  /** The model as the client wrote it; where it named none, as its backend calls it. */
  readonly name: string;
}

/** The knowledge of the fleet that chooses the queue of a request. */
export interface KnownFleet {
  /** The key of a model that some worker serves, or served a while ago. */
  find(name: string): string | undefined;
  cardsOf(key: string): readonly ModelCard[];
  /** True when some worker read this queue a moment ago. */
  remembers(queue: string): boolean;
  /** Every card of every backend. */
  readonly cards: readonly ModelCard[];
  /** Names of queues that some worker reads, or read a while ago. */
  readonly known: readonly string[];
  /** Keys of models of which some backend takes tasks now. */
  readonly offered: ReadonlySet<string>;
}

/**
 * Chooses the queue of a request. Throws `model_not_found`; `model_required` when the client named no model where it
 * has to, and several have the endpoint; `not_implemented` when no backend of the model has it.
 * @param name as the client wrote it; empty when it named none
 * @param instead gives the fault to send in place of one of these; the same when absent
 */
export function destinationOf(
  known: KnownFleet,
  endpoint: Endpoint,
  name: string,
  instead: (fault: Fault) => Fault = (fault) => fault,
): Destination {
  try {
    return queueOf(known, endpoint, name);
  } catch (error) {
    throw instead(toFault(error));
  }
}

function queueOf(known: KnownFleet, endpoint: Endpoint, name: string): Destination {
  if (name === "" && needsAbility(endpoint)) return unnamedModel(known, endpoint);
  const model = known.find(name);
  if (model === undefined) throw modelNotFound(name, endpoint);
  const queue = queueFor(model, endpoint);
  const lack = lackOf(known, { queue, task: { endpoint, model: name } });
  if (lack !== undefined) throw lack;
  return { model, queue, name };
}

/** The knowledge of the fleet that says whether a queue is read. */
export type KnownReaders = Pick<KnownFleet, "cardsOf" | "remembers">;

/**
 * The fault of a task whose ability queue no worker reads; undefined for all others.
 * @param instead gives another fault for a lack that may pass: the task can wait for that; the same when absent
 */
export function lackOf(
  known: KnownReaders,
  { queue, task }: { readonly queue: string; readonly task: Pick<Task, "endpoint" | "model"> },
  instead: (fault: Fault) => Fault = (fault) => fault,
): Fault | undefined {
  const { endpoint, model } = task;
  if (!needsAbility(endpoint) || isOpen(known, modelOf(queue), queue)) return undefined;
  const lack = new Fault("not_implemented", `no backend of the model '${model}' has ${ABILITIES[endpoint]}`);
  return instead(lack) === lack ? lack : undefined;
}

/** A model without any worker now may have had the endpoint. So may a worker that is starting again. */
function isOpen(known: KnownReaders, model: string, queue: string): boolean {
  const cards = known.cardsOf(model);
  return cards.length === 0 || cards.some((card) => servesQueue(card, queue)) || known.remembers(queue);
}

/** A model that may answer a request which names none. */
interface Candidate {
  readonly key: string;
  /** As its backend calls it. */
  readonly name: string;
  /** Ms since 1970. */
  readonly modifiedAt: number;
}

/**
 * Chooses the model of a request that names none. Several candidates are allowed only where OpenAI chooses one itself:
 * the latest modified wins, then the first by name, so that every gateway chooses the same.
 */
function unnamedModel(known: KnownFleet, endpoint: AbilityEndpoint): Destination {
  const able = candidates(known, ABILITIES[endpoint]);
  const [first, ...others] = able.filter(({ key }) => known.offered.has(key)).concat(able);
  if (first === undefined) {
    throw new Fault("not_implemented", `no model that is served here has ${ABILITIES[endpoint]}`);
  }
  if (others.some(({ key }) => key !== first.key) && surfaceOf(endpoint)?.needsNoModel !== true) {
    throw new Fault("model_required", `model is required: several models here have ${ABILITIES[endpoint]}`);
  }
  return { model: first.key, queue: queueFor(first.key, endpoint), name: first.name };
}

/** Models that have the ability, the preferred one first; where none has it now, models that had it a moment ago. */
function candidates(known: KnownFleet, ability: string): readonly Candidate[] {
  const able = known.cards.filter(({ endpoints = [] }) => endpoints.includes(ability));
  if (able.length > 0) return able.toSorted(byPreference(newestOf(able)));
  const queues = known.known.filter((queue) => abilityOf(queue) === ability);
  const open = queues.filter((queue) => isOpen(known, modelOf(queue), queue)).map(modelOf);
  return open.toSorted().map((key) => ({ key, name: key, modifiedAt: 0 }));
}

/** Model key -> the newest date of its cards: backends of one model may give different dates. */
function newestOf(cards: readonly Candidate[]): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  for (const { key, modifiedAt } of cards)
    newest.set(key, Math.max(modifiedAt, newest.get(key) ?? modifiedAt));
  return newest;
}

function byPreference(newest: ReadonlyMap<string, number>): (a: Candidate, b: Candidate) => number {
  return (a, b) =>
    (newest.get(b.key) ?? 0) - (newest.get(a.key) ?? 0) || compare(a.key, b.key) || compare(a.name, b.name);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
