import { NUM_CTX } from "../core/num-ctx.ts";
import type { Setting } from "./setting.ts";

/** How a worker chooses between the models of a backend that loads them on demand. */
export interface PlacementSettings {
  readonly placement: "auto" | "off";
  readonly swapWaitMs: number;
  readonly swapResidencyMs: number;
  readonly modelsLoaded: number;
  readonly numCtx: string;
  readonly keepAliveMinMs: number;
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
  numCtx: {
    env: "SGNET_NUM_CTX",
    flag: "num-ctx",
    type: "text",
    default: "grow",
    form: { pattern: NUM_CTX, says: "grow, pass, pin:N or cap:N, with N tokens" },
    doc: "The num_ctx that Ollama servers are sent, which has a model loaded anew when it differs; grow: rounded up to 4, 8, 16, 32, 64 or 128 Ki, and never less than is loaded; cap:N: likewise, at most N; pin:N: always N; pass: as clients say. But for pass, num_batch, num_gpu, main_gpu, use_mmap and num_thread stay as the model was loaded.",
  },
  keepAliveMinMs: {
    env: "SGNET_KEEP_ALIVE_MIN",
    flag: "keep-alive-min",
    type: "number",
    default: 300_000,
    min: 0,
    max: 604_800_000,
    unit: "ms",
    doc: "Shortest keep_alive that Ollama servers are sent for clients without an admin key: 0 from one client is a load for the next; 0: as clients say, and they may unload models.",
  },
};
