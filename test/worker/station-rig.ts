import type { Backend } from "../../src/backends/backend.ts";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { Station } from "../../src/worker/station.ts";
import type { StationOptions } from "../../src/worker/station.ts";

/** What is known of the model `tiny`. */
export const TINY_CARD: ModelCard = { ...BLANK_CARD, key: "tiny", name: "tiny:latest", resident: true };

/** A station with the model `tiny`, whose backend runs nothing. */
export function idleStation(slots: number, options: StationOptions = {}): Station {
  const backend: Backend = {
    name: "idle",
    kind: "ollama",
    url: "",
    inspect: () => Promise.resolve({ models: [TINY_CARD], slots }),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const station = new Station(backend, slots, options);
  station.update({ models: [TINY_CARD], slots });
  return station;
}
