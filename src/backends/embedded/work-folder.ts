import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

const STALE_MS = 24 * 3600 * 1000;
const PREFIX = "fetch-";

/**
 * Runs `work` in a new, empty folder inside the cache folder, which is removed at the end. A complete result is renamed
 * out of it, so that other processes see all of it or nothing.
 */
export async function inWorkFolder<T>(cacheDir: string, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(cacheDir, { recursive: true });
  await removeStale(cacheDir);
  const folder = await mkdtemp(join(cacheDir, PREFIX));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes old work folders of killed processes, as far as they can be removed. */
async function removeStale(cacheDir: string): Promise<void> {
  const names = (await readdir(cacheDir)).filter((name) => name.startsWith(PREFIX));
  for (const path of names.map((name) => join(cacheDir, name))) {
    const state = await stat(path).catch(() => undefined);
    if (state !== undefined && Date.now() - state.mtimeMs > STALE_MS) {
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}
