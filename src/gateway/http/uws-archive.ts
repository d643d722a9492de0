import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";

/**
 * The HTTP binaries of one system and processor, as the published package carries them. A line of JSON with the
 * name and size of each file comes first. The files follow, one after the other. Brotli compresses the whole. Files for
 * several versions of Node are nearly the same, so that three take little more than one: 2.7 MB instead of 20.9 MB on
 * Linux x64.
 */

/** Largest size that an archive may unpack to; the largest one has 21 MB. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Joins files as an archive holds them, before compression. */
export function layOut(files: ReadonlyMap<string, Buffer>): Buffer {
  const sizes = Object.fromEntries([...files].map(([name, { length }]) => [name, length]));
  return Buffer.concat([Buffer.from(`${JSON.stringify(sizes)}\n`), ...files.values()]);
}

/**
 * Reads one file of an archive.
 * @throws Error with a few words when the archive cannot be read or has no such file
 */
export function unpack(archive: string, file: string): Buffer {
  const whole = brotliDecompressSync(readFileSync(archive), { maxOutputLength: MAX_BYTES });
  const line = whole.indexOf("\n");
  const sizes: Readonly<Record<string, number>> = JSON.parse(whole.toString("utf8", 0, line));
  let at = line + 1;
  for (const [name, size] of Object.entries(sizes)) {
    if (name === file) return whole.subarray(at, at + size);
    at += size;
  }
  throw new Error(`${file} is not in it`);
}
