import { modelOf, queuesOf } from "../core/ability.ts";
import type { ModelCard } from "../core/model.ts";
import type { PlacementPlan } from "../core/placement.ts";
import type { QueueHead } from "../redis/placed-consumer.ts";

/** A model with abilities is one model in a backend's memory, and several queues in Redis. This file maps one to the other. */

/** Returns a card for each queue that is read for these models; its key is the name of the queue. */
export function queueCards(models: readonly ModelCard[]): readonly ModelCard[] {
  if (models.every(({ endpoints = [] }) => endpoints.length === 0)) return models;
  return models.flatMap((card) => queuesOf(card).map((key) => withKey(card, key)));
}

function withKey(card: ModelCard, key: string): ModelCard {
  return key === card.key ? card : { ...card, key };
}

/** Returns the models that have at least one of these queues. */
export function modelsOf(models: readonly ModelCard[], queues: readonly ModelCard[]): readonly ModelCard[] {
  const keys = new Set(queues.map(({ key }) => modelOf(key)));
  return models.filter(({ key }) => keys.has(key));
}

/** Turns a plan for models into a plan for queues. @param open the queues that may be claimed from */
export function withQueues(plan: PlacementPlan, open: readonly ModelCard[]): PlacementPlan {
  const byModel = Map.groupBy(
    open.map(({ key }) => key),
    modelOf,
  );
  const queues = (models: readonly string[]): string[] => models.flatMap((model) => byModel.get(model) ?? []);
  return { ...plan, claim: queues(plan.claim), listen: queues(plan.listen), closing: queues(plan.closing) };
}

/** Returns one head for each model: the oldest head of its queues. It moves when a worker claims from any of them. */
export function headsByModel(heads: readonly QueueHead[]): readonly QueueHead[] {
  if (heads.every(({ model }) => modelOf(model) === model)) return heads;
  const byModel = Map.groupBy(heads, ({ model }) => modelOf(model));
  return [...byModel].map(([model, own]) => {
    const { entry, ageMs } = own.reduce((oldest, head) => (isOlder(head, oldest) ? head : oldest));
    return { model, entry, ageMs, delivered: own.map(({ delivered }) => delivered).join(" ") };
  });
}

function isOlder(head: QueueHead, than: QueueHead): boolean {
  if (head.entry === undefined) return false;
  return than.entry === undefined || head.ageMs > than.ageMs;
}
