/** Options of a request that belong to the runner. A loaded runner with other options must be reloaded. */

/** Fields of Ollama's `options` that a runner is started with, but for `num_ctx`. */
const LAUNCH_FIELDS = ["num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"] as const;

type LaunchField = (typeof LAUNCH_FIELDS)[number];

/** Options that a runner is started with. */
export interface RunnerOptions {
  readonly numCtx: number;
  /** No request named it: the server chose. */
  readonly numCtxAuto: boolean;
  /** Launch options that the request named. */
  readonly launch: Readonly<Partial<Record<LaunchField, number | boolean>>>;
}

/** The runner options of a request. @param numCtx context length of the server for requests without one */
export function runnerOptions(options: Readonly<Record<string, unknown>>, numCtx: number): RunnerOptions {
  const asked = options["num_ctx"];
  const named = typeof asked === "number" && asked > 0 ? Math.max(4, Math.trunc(asked)) : undefined;
  const launch = LAUNCH_FIELDS.flatMap((field) => {
    const value = options[field];
    return typeof value === "number" || typeof value === "boolean" ? [[field, value] as const] : [];
  });
  return {
    numCtx: named ?? numCtx,
    numCtxAuto: named === undefined,
    launch: Object.fromEntries(launch),
  };
}

/**
 * True when a runner must be reloaded for a request. The rules are those of Ollama's scheduler:
 * - Context lengths are equal, or both automatic.
 * - A negative `num_gpu` fits any runner.
 * - Any other launch option must be equal, and a missing one means the server's own value.
 * - Only `use_mmap` and `num_batch` may be missing in both requests.
 */
export function needsReload(loaded: RunnerOptions, asked: RunnerOptions): boolean {
  const bothAuto = loaded.numCtxAuto && asked.numCtxAuto;
  if (!bothAuto && loaded.numCtx !== asked.numCtx) return true;
  return LAUNCH_FIELDS.some((field) => !suits(field, loaded.launch[field], asked.launch[field]));
}

function suits(field: LaunchField, loaded: unknown, asked: unknown): boolean {
  // Unnamed is -1 there: as many layers as fit.
  if (field === "num_gpu" && (asked === undefined || (typeof asked === "number" && asked < 0))) return true;
  return loaded === asked;
}
