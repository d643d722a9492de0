import type { WorkerAnnouncement } from "../core/fleet.ts";
import type { Finding } from "./finding.ts";

/** Lists what workers learned by trying their backends: it explains why a server gets other requests than its kind. */
export function learnedQuirks(workers: readonly WorkerAnnouncement[]): readonly Finding[] {
  return workers.flatMap(({ id, backends }) => {
    return backends.flatMap(({ name, quirks = [] }) => {
      const text = `${name} of worker ${id}: learned by trying that it ${quirks.join(", ")}`;
      return quirks.length === 0 ? [] : [{ ok: true, about: "backends", text }];
    });
  });
}
