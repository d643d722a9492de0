/**
 * Loads the native HTTP server, without the package's own loader. That loader's binaries do not load on glibc 2.36, and
 * its message does not say so. The file is compared with a pinned SHA-256 before any of its code runs.
 */
import { createHash, randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type {
  App,
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_listen_socket_close,
  us_socket_local_port,
} from "uWebSockets.js";

import { Fault } from "../../core/fault.ts";
import { patchForOlderGlibc } from "./glibc-patch.ts";
import { acceptHttp10 } from "./http10.ts";
import { unpack } from "./uws-archive.ts";
import { archiveOf, chooseBinary, type Machine, type UwsBinary } from "./uws-binary.ts";

/** The part of uWebSockets.js in use. */
export interface UwsModule {
  readonly App: typeof App;
  readonly us_listen_socket_close: typeof us_listen_socket_close;
  readonly us_socket_local_port: typeof us_socket_local_port;
  /** True when it accepts HTTP/1.0, as the adapted copy does. */
  readonly http10: boolean;
}

export type NativeRequest = HttpRequest;
export type NativeResponse = HttpResponse;
export type NativeApp = TemplatedApp;
export type NativeListener = us_listen_socket;

export interface LoadOptions {
  /** Folder for a copy, made when needed: the file is in an archive, or does not load as it is. */
  readonly cacheDir: string;
  /** Folder of the installed package; found by Node's own rules when absent. */
  readonly packageDir?: string;
  /** Folder of the archives that the published package carries instead; beside this file when absent. */
  readonly archiveDir?: string;
  /** The machine to load for; the one this process runs on when absent. */
  readonly machine?: Machine;
}

const require = createRequire(import.meta.url);

/**
 * Loads the native module, at most once per process and file.
 *
 * While it loads, the native code reads its limit on a request's header block from the environment variable
 * UWS_HTTP_MAX_HEADERS_SIZE (bytes; 4096 without it). A caller that wants another limit sets it before.
 * @throws Fault `internal` with one sentence of advice. Causes: an unsupported Node, system or C library; a file that
 * is not the pinned one; a folder that cannot be used
 */
export function loadUws(options: LoadOptions): UwsModule {
  const binary = chooseBinary(options.machine ?? thisMachine());
  const source = sourceOf(binary, options);
  if (binary.adapted !== undefined) {
    try {
      return { ...loadCopy(source, binary, options.cacheDir), http10: true };
    } catch (error) {
      // Without a folder that allows writing and running, the gateway does without HTTP/1.0.
      if (binary.mustAdapt || source.archived) throw error;
    }
  } else if (source.archived) return { ...loadCopy(source, binary, options.cacheDir), http10: false };
  checkInstalled(source.path, binary);
  return { ...loadFile(source.path, ""), http10: false };
}

type Native = Omit<UwsModule, "http10">;

function loadCopy(source: Source, binary: UwsBinary, cacheDir: string): Native {
  const path = join(cacheDir, cachedName(binary));
  if (sha256Of(path) !== wantedHash(binary)) writeCopy(source, binary, path);
  return loadFile(path, "; if that folder forbids running programs, choose another cache folder");
}

function loadFile(path: string, advice: string): Native {
  try {
    return require(path) as Native;
  } catch (error) {
    throw new Fault("internal", `The HTTP binary ${path} does not load (${reason(error)})${advice}.`, {
      cause: error,
    });
  }
}

/** Describes the machine that this process runs on. */
export function thisMachine(): Machine {
  const { platform, arch, versions } = process;
  const glibc = platform === "linux" ? glibcVersion() : undefined;
  return { platform, arch, node: versions.node, abi: versions.modules, glibc };
}

/** Reads the version from the report of Node; musl and others have no such line. */
function glibcVersion(): string | undefined {
  const report: typeof process.report & { excludeNetwork?: boolean } = process.report;
  const before = report.excludeNetwork ?? false;
  report.excludeNetwork = true; // else the report queries the name server about every open socket
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime;
  } finally {
    report.excludeNetwork = before;
  }
}

/** The file that the bytes of a binary come from. */
interface Source {
  readonly path: string;
  /** True for an archive of the published package, false for a file of the installed one. */
  readonly archived: boolean;
}

function sourceOf(binary: UwsBinary, { packageDir, archiveDir }: LoadOptions): Source {
  const archive = join(archiveDir ?? join(import.meta.dirname, "native"), archiveOf(binary.file));
  if (packageDir === undefined && existsSync(archive)) return { path: archive, archived: true };
  return { path: join(packageDir ?? installedDir(), binary.file), archived: false };
}

function installedDir(): string {
  try {
    return dirname(require.resolve("uWebSockets.js"));
  } catch (error) {
    throw new Fault("internal", "The package uWebSockets.js is not installed: run npm install again.", {
      cause: error,
    });
  }
}

/** Returns the SHA-256 that a copy in the cache folder must have (hex). */
function wantedHash({ adapted, sha256 }: UwsBinary): string {
  return adapted ?? sha256;
}

/** The name depends on the contents: machines with other C libraries may share the folder. */
function cachedName(binary: UwsBinary): string {
  return `${wantedHash(binary).slice(0, 16)}-${binary.file}`;
}

function checkInstalled(path: string, binary: UwsBinary): void {
  const found = orFault(
    () => hashFile(path),
    (why) => `The HTTP binary ${path} cannot be read (${why}): run npm install again.`,
  );
  if (found === binary.sha256) return;
  throw new Fault(
    "internal",
    `The HTTP binary ${path} is not the one this version was tested with (its SHA-256 differs): run npm ci to install it afresh.`,
  );
}

/** Writes a copy into the cache folder, from the verified original, adapted where it has to be. */
function writeCopy(source: Source, binary: UwsBinary, path: string): void {
  const original = source.archived ? unpacked(source.path, binary) : installed(source.path, binary);
  const bytes = binary.adapted === undefined ? original : acceptHttp10(patchForOlderGlibc(original));
  orFault(
    () => {
      replaceFile(path, bytes);
    },
    (why) =>
      `The HTTP binary cannot be kept in ${dirname(path)} (${why}): choose a cache folder that can be written.`,
  );
}

function installed(path: string, binary: UwsBinary): Buffer {
  checkInstalled(path, binary);
  return readFileSync(path);
}

function unpacked(archive: string, binary: UwsBinary): Buffer {
  const bytes = orFault(
    () => unpack(archive, binary.file),
    (why) => `The HTTP binary cannot be read from ${archive} (${why}): install the package again.`,
  );
  if (createHash("sha256").update(bytes).digest("hex") === binary.sha256) return bytes;
  throw new Fault(
    "internal",
    `The HTTP binary in ${archive} is not the one this version was tested with (its SHA-256 differs): install the package again.`,
  );
}

/** Returns undefined when the file is absent or unreadable. */
function sha256Of(path: string): string | undefined {
  try {
    return hashFile(path);
  } catch {
    return undefined;
  }
}

const HASH_BYTES = 256 * 1024;

/** Reads in pieces: the whole file (7 MB) would stay in the resident size of this process for good. */
function hashFile(path: string): string {
  const hash = createHash("sha256");
  const piece = Buffer.alloc(HASH_BYTES);
  const file = openSync(path, "r");
  try {
    for (let size = readSync(file, piece); size > 0; size = readSync(file, piece)) {
      hash.update(piece.subarray(0, size));
    }
    return hash.digest("hex");
  } finally {
    closeSync(file);
  }
}

/** Replaces atomically: a process that starts meanwhile sees the old file or the whole new one. */
function replaceFile(path: string, bytes: Buffer): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${randomUUID()}`;
  writeFileSync(fresh, bytes, { mode: 0o500, flag: "wx" });
  renameSync(fresh, path);
}

function orFault<T>(action: () => T, sentence: (why: string) => string): T {
  try {
    return action();
  } catch (error) {
    throw new Fault("internal", sentence(reason(error)), { cause: error });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
