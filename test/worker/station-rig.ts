import type { Backend } from "../../src/backends/backend.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { Station } from "../../src/worker/station.ts";

const CARD: ModelCard = {
  key: "tiny",
  name: "tiny:latest",
  modifiedAt: 0,
  size: 0,
  digest: "",
  format: "",
  family: "",
  parameterSize: "",
  quantization: "",
  contextLength: 0,
  capabilities: [],
  ownedBy: "",
  resident: true,
};

/** A station with the model `tiny`, whose backend runs nothing. */
export function idleStation(slots: number): Station {
  const backend: Backend = {
    name: "idle",
    kind: "ollama",
    url: "",
    inspect: () => Promise.resolve({ models: [CARD], slots }),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const station = new Station(backend, slots);
  station.update({ models: [CARD], slots });
  return station;
}
