/**
 * Loads the native HTTP server. The package's own loader is passed by, because its binaries do not load on glibc
 * 2.36 and its message does not say so; the file is compared with a pinned SHA-256 before any of its code runs.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
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

import { Fault } from "../core/fault.ts";
import { adaptElf } from "./elf.ts";
import { chooseBinary, type Machine, type UwsBinary } from "./uws-binary.ts";

/** The part of uWebSockets.js that is used. */
export interface UwsModule {
  readonly App: typeof App;
  readonly us_listen_socket_close: typeof us_listen_socket_close;
  readonly us_socket_local_port: typeof us_socket_local_port;
}

export type NativeRequest = HttpRequest;
export type NativeResponse = HttpResponse;
export type NativeApp = TemplatedApp;
export type NativeListener = us_listen_socket;

export interface LoadOptions {
  /** Folder for the adapted copy, used (and made) only where the installed file does not load as it is. */
  readonly cacheDir: string;
  /** Folder of the installed package; found by Node's own rules when absent. */
  readonly packageDir?: string;
  /** The machine to load for; the one this process runs on when absent. */
  readonly machine?: Machine;
}

const require = createRequire(import.meta.url);

/**
 * Loads the native module, at most once per process and file. Throws an `internal` fault with one sentence that says
 * what to do: unsupported Node, system or C library, a file that is not the pinned one, a folder that cannot be used.
 *
 * While it loads, the native code reads its limit on a request's header block from the environment variable
 * UWS_HTTP_MAX_HEADERS_SIZE (bytes; 4096 without it): whoever wants another sets it before.
 */
export function loadUws(options: LoadOptions): UwsModule {
  const binary = chooseBinary(options.machine ?? thisMachine());
  const original = readPinned(join(options.packageDir ?? packageDir(), binary.file), binary);
  const path = binary.adapt ? cacheAdapted(original.bytes, binary, options.cacheDir) : original.path;
  try {
    return require(path) as UwsModule;
  } catch (error) {
    const advice = binary.adapt
      ? "; if that folder forbids running programs, choose another cache folder"
      : "";
    throw new Fault("internal", `The HTTP binary ${path} does not load (${reason(error)})${advice}.`, {
      cause: error,
    });
  }
}

/** What this process runs on. */
export function thisMachine(): Machine {
  const { platform, arch, versions } = process;
  const glibc = platform === "linux" ? glibcVersion() : undefined;
  return { platform, arch, node: versions.node, abi: versions.modules, glibc };
}

/** Node itself tells by its report; musl and others have no such line. */
function glibcVersion(): string | undefined {
  const report: typeof process.report & { excludeNetwork?: boolean } = process.report;
  const before = report.excludeNetwork ?? false;
  report.excludeNetwork = true; // else the report asks the name server about every open socket
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime;
  } finally {
    report.excludeNetwork = before;
  }
}

function packageDir(): string {
  try {
    return dirname(require.resolve("uWebSockets.js"));
  } catch (error) {
    throw new Fault("internal", "The package uWebSockets.js is not installed: run npm install again.", {
      cause: error,
    });
  }
}

function readPinned(path: string, binary: UwsBinary): { readonly path: string; readonly bytes: Buffer } {
  const bytes = attempt(
    () => readFileSync(path),
    (why) => `The HTTP binary ${path} cannot be read (${why}): run npm install again.`,
  );
  if (createHash("sha256").update(bytes).digest("hex") !== binary.sha256) {
    throw new Fault(
      "internal",
      `The HTTP binary ${path} is not the one this version was tested with (its SHA-256 differs): run npm ci to install it afresh.`,
    );
  }
  return { path, bytes };
}

/**
 * Leaves the adapted copy in the cache folder and gives its path. A copy already there is used only if it is, byte
 * for byte, what adapting the verified original gives; anything else is replaced.
 */
function cacheAdapted(original: Buffer, binary: UwsBinary, cacheDir: string): string {
  const adapted = adaptElf(original);
  const path = join(cacheDir, `${binary.sha256.slice(0, 16)}-${binary.file}`);
  return attempt(
    () => {
      if (!holds(path, adapted)) replaceFile(path, adapted);
      return path;
    },
    (why) =>
      `The HTTP binary cannot be kept in ${cacheDir} (${why}): choose a cache folder that can be written.`,
  );
}

function holds(path: string, bytes: Buffer): boolean {
  try {
    return readFileSync(path).equals(bytes);
  } catch {
    return false; // absent or unreadable: written anew
  }
}

/** Atomic: another process that starts now sees the old file or the whole new one, and keeps what it has loaded. */
function replaceFile(path: string, bytes: Buffer): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${randomUUID()}`;
  writeFileSync(fresh, bytes, { mode: 0o500, flag: "wx" });
  renameSync(fresh, path);
}

function attempt<T>(action: () => T, sentence: (why: string) => string): T {
  try {
    return action();
  } catch (error) {
    throw new Fault("internal", sentence(reason(error)), { cause: error });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
