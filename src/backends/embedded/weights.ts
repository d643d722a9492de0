import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { resolvedCacheDir } from "../../config/load.ts";
import type { Settings } from "../../config/settings.ts";
import { Fault } from "../../core/fault.ts";
import { fetchWeights, HUB_FILE, WEIGHTS, type FetchOptions } from "./fetch.ts";

/** The weights to load, and the name of the model. */
export interface Weights {
  readonly path: string;
  /** `smollm2:135m`, or a name made from the file's. */
  readonly model: string;
}

const DEFAULT_MODEL = "smollm2:135m";
const GGUF_MAGIC = "GGUF";

/**
 * Finds the weights of the embedded model: the configured file, else the cached default, else a download of the
 * default. Throws `model_not_found` for an unreadable configured file, and `backend_unreachable` when the download
 * fails.
 */
export async function findWeights(
  settings: Pick<Settings, "embeddedModel" | "cacheDir">,
  options?: FetchOptions,
): Promise<Weights> {
  const named = settings.embeddedModel;
  if (named !== "") {
    await checkGguf(named);
    return { path: named, model: modelNameOf(named) };
  }
  const cacheDir = resolvedCacheDir(settings);
  const path = (await cached(cacheDir)) ?? (await fetchWeights(cacheDir, options));
  return { path, model: DEFAULT_MODEL };
}

async function cached(cacheDir: string): Promise<string | undefined> {
  const pinned = join(cacheDir, WEIGHTS.file);
  if ((await sizeOf(pinned)) === WEIGHTS.bytes) return pinned;
  const other = join(cacheDir, HUB_FILE);
  return (await sizeOf(other)) === undefined ? undefined : other;
}

async function sizeOf(path: string): Promise<number | undefined> {
  const state = await stat(path).catch(() => undefined);
  return state?.isFile() ? state.size : undefined;
}

/** Checks the first bytes of the file, since the native loader gives no clear reason. */
async function checkGguf(path: string): Promise<void> {
  const magic = await magicOf(path).catch((error: unknown) => {
    throw new Fault("model_not_found", `The embedded model ${path} cannot be read.`, { cause: error });
  });
  if (magic !== GGUF_MAGIC) {
    throw new Fault("model_not_found", `The embedded model ${path} is not a GGUF file.`);
  }
}

async function magicOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(GGUF_MAGIC.length));
    return buffer.toString("latin1", 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The model name for a file: `/models/My Model.gguf` becomes `My-Model`. Each result is a valid model name. */
export function modelNameOf(path: string): string {
  const file = path.split(/[/\\]/).at(-1) ?? "";
  const name = file
    .replace(/\.gguf$/i, "")
    .replaceAll(/[^\w.+-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "");
  return name === "" ? "embedded" : name.slice(0, 160);
}
