import { Fault, toFault } from "../core/fault.ts";
import { ABILITIES, needsAbility, modelOf, queueFor, servesQueue } from "../core/ability.ts";
import type { AbilityEndpoint } from "../core/ability.ts";
import type { ModelCard } from "../core/model.ts";
import type { Endpoint, Task } from "../core/task.ts";
import { modelNotFound } from "../protocols/ollama/faults.ts";

/** Where a request goes. */
export interface Destination {
  /** Model key. */
  readonly model: string;
  /** The name of the queue. */
  readonly queue: string;
  /** The model as the client wrote it; where it named none, as its backend calls it. */
  readonly asked: string;
}

/** What must be known of the fleet to send a request on its way. */
export interface Known {
  /** The key of a model that some worker serves, or served a while ago. */
  find(name: string): string | undefined;
  cardsOf(key: string): readonly ModelCard[];
  /** True when some worker was seen to read this queue a moment ago. */
  remembers(queue: string): boolean;
  /** Every card of every backend. */
  readonly cards: readonly ModelCard[];
}

/**
 * Chooses the queue of a request. Throws `model_not_found`; `model_required` when the client named no model and not
 * exactly one has the endpoint; `not_implemented` when no backend of the model has it.
 * @param name as the client wrote it; empty when it named none
 * @param instead the fault to tell in place of one of these; the same when absent
 */
export function destinationOf(
  known: Known,
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

function queueOf(known: Known, endpoint: Endpoint, name: string): Destination {
  if (name === "" && needsAbility(endpoint)) return soleModel(known, endpoint);
  const model = known.find(name);
  if (model === undefined) throw modelNotFound(name, endpoint);
  const queue = queueFor(model, endpoint);
  const lack = lackOf(known, { queue, task: { endpoint, model: name } });
  if (lack !== undefined) throw lack;
  return { model, queue, asked: name };
}

/**
 * The fault of a task whose ability queue nobody reads; undefined for all others.
 * @param instead gives another fault for one that may pass: the task can wait for that; the same when absent
 */
export function lackOf(
  known: Known,
  { queue, task }: { readonly queue: string; readonly task: Pick<Task, "endpoint" | "model"> },
  instead: (fault: Fault) => Fault = (fault) => fault,
): Fault | undefined {
  const { endpoint, model } = task;
  if (!needsAbility(endpoint) || isOpen(known, modelOf(queue), queue)) return undefined;
  const lack = new Fault("not_implemented", `no backend of the model '${model}' has ${ABILITIES[endpoint]}`);
  return instead(lack) === lack ? lack : undefined;
}

/** A model without any worker now may have had the endpoint, as may a worker of it that is starting again. */
function isOpen(known: Known, model: string, queue: string): boolean {
  const cards = known.cardsOf(model);
  return cards.length === 0 || cards.some((card) => servesQueue(card, queue)) || known.remembers(queue);
}

function soleModel({ cards }: Known, endpoint: AbilityEndpoint): Destination {
  const able = cards.filter(({ endpoints = [] }) => endpoints.includes(ABILITIES[endpoint]));
  const [first] = able;
  if (first === undefined) {
    throw new Fault("not_implemented", `no model that is served here has ${ABILITIES[endpoint]}`);
  }
  if (able.some(({ key }) => key !== first.key)) {
    throw new Fault("model_required", `model is required: several models here have ${ABILITIES[endpoint]}`);
  }
  return { model: first.key, queue: queueFor(first.key, endpoint), asked: first.name };
}
