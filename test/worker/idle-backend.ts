import type { Backend } from "../../src/backends/backend.ts";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import type { BackendSlotsOptions } from "../../src/worker/backend-slots.ts";

/** The card of the model `tiny`. */
export const TINY_CARD: ModelCard = { ...BLANK_CARD, key: "tiny", name: "tiny:latest", resident: true };

/** The slots of a backend with the model `tiny`, which runs nothing. */
export function idleBackendSlots(slots: number, options: BackendSlotsOptions = {}): BackendSlots {
  const backend: Backend = {
    name: "idle",
    kind: "ollama",
    url: "",
    inspect: () => Promise.resolve({ models: [TINY_CARD], slots }),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const backendSlots = new BackendSlots(backend, slots, options);
  backendSlots.update({ models: [TINY_CARD], slots });
  return backendSlots;
}
