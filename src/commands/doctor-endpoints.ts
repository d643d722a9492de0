import type { BackendAnnouncement, WorkerAnnouncement } from "../core/fleet.ts";
import type { Finding } from "./finding.ts";

/** Most models that are named. */
const MOST_NAMED = 5;

/** Lists which endpoints beyond those of every model a backend has: it explains why a model is refused with 501. */
export function announcedEndpoints(workers: readonly WorkerAnnouncement[]): readonly Finding[] {
  return workers.flatMap(({ id, backends }) => {
    return backends.flatMap((backend) => {
      return wordsOf(backend).map((words) => {
        return { ok: true, about: "backends", text: `${backend.name} of worker ${id}: ${words}` };
      });
    });
  });
}

/** One text for all models with the same endpoints. */
function wordsOf({ models }: BackendAnnouncement): string[] {
  const able = models.filter(({ endpoints = [] }) => endpoints.length > 0);
  const alike = Map.groupBy(able, ({ endpoints = [] }) => endpoints.join(", "));
  return [...alike].map(([endpoints, cards]) => {
    const names = cards.slice(0, MOST_NAMED).map(({ name }) => name);
    const more = cards.length - names.length;
    const has = cards.length === 1 ? "has" : "have";
    return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""} ${has} ${endpoints}`;
  });
}
