import type { Setting } from "./setting.ts";

/** How a worker chooses between the models of a backend that loads them on demand. */
export interface PlacementSettings {
  readonly placement: "auto" | "off";
  readonly swapWaitMs: number;
  readonly swapResidencyMs: number;
  readonly modelsLoaded: number;
}

export const PLACEMENT_SETTINGS: { readonly [Name in keyof PlacementSettings]: Setting } = {
  placement: {
    env: "SGNET_PLACEMENT",
    flag: "placement",
    type: "text",
    default: "auto",
    choices: ["auto", "off"],
    doc: "Whether tasks of loaded models go first on backends that load models on demand (Ollama, LM Studio, a llama.cpp router); off: all models alike, which loads them again and again.",
  },
  swapWaitMs: {
    env: "SGNET_SWAP_WAIT_MS",
    flag: "swap-wait-ms",
    type: "number",
    default: 0,
    min: 0,
    max: 86_400_000,
    unit: "ms",
    doc: "How long the first request for a model that is not loaded waits while others are served; 0: four times its measured load, between 2 and 60 s.",
  },
  swapResidencyMs: {
    env: "SGNET_SWAP_RESIDENCY_MS",
    flag: "swap-residency-ms",
    type: "number",
    default: 0,
    min: 0,
    max: 86_400_000,
    unit: "ms",
    doc: "How long a model stays loaded at least while requests for it come and others wait; 0: twice its measured load, at least 2 s.",
  },
  modelsLoaded: {
    env: "SGNET_MODELS_LOADED",
    flag: "models-loaded",
    type: "number",
    default: 0,
    min: 0,
    max: 1000,
    doc: "Models that each backend of this worker holds in memory at once; 0: learned from what is seen there, one until two were seen.",
  },
};
