import type { BackendAnnouncement } from "../core/fleet.ts";
import type { BackendSlots } from "./backend-slots.ts";

/** Returns the part of a worker's announcement that is about one backend. */
export function announcementOf(backendSlots: BackendSlots): BackendAnnouncement {
  const { name, kind, url, quirks = [] } = backendSlots.backend;
  const { slots, busy, healthy, models } = backendSlots;
  const gates = backendSlots.circuits.announcement((model) => backendSlots.nameOf(model) !== undefined);
  const placement = backendSlots.placement?.announcement(models);
  return {
    name,
    kind,
    url,
    slots,
    busy,
    healthy,
    models,
    ...(gates.length === 0 ? {} : { gates }),
    ...(placement === undefined ? {} : { placement }),
    ...(quirks.length === 0 ? {} : { quirks }),
  };
}
