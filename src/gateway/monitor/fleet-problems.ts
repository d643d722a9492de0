import type { ModelView, NodeView } from "./fleet-view.ts";

/** A wait that is reported as a problem, ms. */
const LONG_WAIT_MS = 30_000;

function counted(letters: number): string {
  return `${letters} dead letter${letters === 1 ? "" : "s"}`;
}

/** Returns one sentence for each problem, the most severe first. */
export function findProblems(models: readonly ModelView[], nodes: readonly NodeView[]): string[] {
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
