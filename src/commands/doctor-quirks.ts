import type { WorkerAnnouncement } from "../core/fleet.ts";
import type { Finding } from "./finding.ts";
import { printable } from "./printable.ts";

/** What workers learned by trying of their backends: why a server is asked otherwise than others of its kind. */
export function learnedQuirks(workers: readonly WorkerAnnouncement[]): readonly Finding[] {
  return workers.flatMap(({ id, backends }) => {
    return backends.flatMap(({ name, quirks = [] }) => {
      const text = `${name} of worker ${id}: learned by trying that it ${quirks.join(", ")}`;
      return quirks.length === 0 ? [] : [{ ok: true, about: "backends", text: printable(text) }];
    });
  });
}
