import { NUM_CTX } from "../core/num-ctx.ts";
import type { Setting } from "./setting.ts";

/** Choice between the models of a backend that loads them on demand. */
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
    doc: "Order of models on backends that load models on demand (Ollama, LM Studio, a llama.cpp router). auto: tasks of loaded models go first. off: the oldest task goes first, which may reload models again and again.",
  },
  swapWaitMs: {
    env: "SGNET_SWAP_WAIT_MS",
    flag: "swap-wait-ms",
    type: "number",
    default: 0,
    min: 0,
    max: 86_400_000,
    unit: "ms",
    doc: "Longest wait of the first request for an unloaded model while loaded models are served. 0: four times the model's measured load time, from 2 to 60 s.",
  },
  swapResidencyMs: {
    env: "SGNET_SWAP_RESIDENCY_MS",
    flag: "swap-residency-ms",
    type: "number",
    default: 0,
    min: 0,
    max: 86_400_000,
    unit: "ms",
    doc: "Shortest time that a model stays loaded while it has requests and other models wait. 0: twice its measured load time, at least 2 s.",
  },
  modelsLoaded: {
    env: "SGNET_MODELS_LOADED",
    flag: "models-loaded",
    type: "number",
    default: 0,
    min: 0,
    max: 1000,
    doc: "Models that each backend of this worker holds in memory at once. 0: learned from the loaded models seen there; 1 until two were seen at once.",
  },
  numCtx: {
    env: "SGNET_NUM_CTX",
    flag: "num-ctx",
    type: "text",
    default: "grow",
    form: { pattern: NUM_CTX, says: "grow, pass, pin:N or cap:N, with N tokens" },
    doc: "Context length (num_ctx) sent to Ollama servers. Ollama reloads a model when it changes. grow: rounded up to 4, 8, 16, 32, 64 or 128 Ki, and never below the loaded one. cap:N: like grow, at most N. pin:N: always N. pass: as clients send it. Except with pass, num_batch, num_gpu, main_gpu, use_mmap and num_thread stay as the model was loaded.",
  },
  keepAliveMinMs: {
    env: "SGNET_KEEP_ALIVE_MIN",
    flag: "keep-alive-min",
    type: "number",
    default: 300_000,
    min: 0,
    max: 604_800_000,
    unit: "ms",
    doc: "Shortest keep_alive sent to Ollama servers for clients without an admin key: a client that sends 0 would cause a load for the next client. 0: as clients send it, and clients may unload models.",
  },
};
