import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { layOut } from "../src/gateway/http/uws-archive.ts";
import { archiveOf, BINARIES } from "../src/gateway/http/uws-binary.ts";

/** From 7 on Brotli finds what was the same in the file before. Linux x64: 6 6.2 MB, 7 2.7 MB in 0.8 s, 9 2.6 MB, 10 2.4 MB in 33 s. */
const QUALITY = 7;
/**
 * Largest window that every Brotli reader supports: 16 MiB, so that a file is stored as its difference from the one
 * before.
 */
const WINDOW_BITS = 24;

const compress = promisify(brotliCompress);

/**
 * Writes the HTTP binaries of the installed package as archives, one for each system and processor.
 * @param from the folder of the installed package
 * @param to the folder of the archives
 */
export async function archiveBinaries(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const archives = Map.groupBy(BINARIES, archiveOf);
  await Promise.all([...archives].map(([name, files]) => writeArchive(join(to, name), files, from)));
}

/** Writes files of a folder as one archive. */
export async function writeArchive(path: string, files: readonly string[], from: string): Promise<void> {
  const contents = new Map<string, Buffer>();
  for (const file of files) contents.set(file, await readFile(join(from, file)));
  const whole = layOut(contents);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: whole.length,
  };
  await writeFile(path, await compress(whole, { params }));
}
