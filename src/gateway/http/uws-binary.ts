/** Chooses the native file of the HTTP package for this machine, and pins its bytes. */
import { Fault } from "../../core/fault.ts";

/** The facts that the choice depends on. */
export interface Machine {
  /** As process.platform. */
  readonly platform: string;
  /** As process.arch. */
  readonly arch: string;
  /** As process.versions.node. */
  readonly node: string;
  /** As process.versions.modules: the number of Node's native interface. */
  readonly abi: string;
  /** Version of the C library at run time; undefined where it is no glibc. */
  readonly glibc: string | undefined;
}

export interface UwsBinary {
  readonly file: string;
  /** Digest of the file as installed (hex). */
  readonly sha256: string;
  /** Digest of the adapted copy (hex), which accepts HTTP/1.0; undefined where none is known for this system. */
  readonly adapted: string | undefined;
  /** True where only the adapted copy loads. */
  readonly mustAdapt: boolean;
}

/** SHA-256 of the files of 20.57.0. A new version of the package changes them all. */
const SHA256: ReadonlyMap<string, string> = new Map([
  ["uws_darwin_arm64_127.node", "6180345d453e2e113feb2b0d76376493cd6a90056c3483fc22de7b0c340dc231"],
  ["uws_darwin_arm64_137.node", "2187391c702fa7ad3bf685eff7712c15cf24fa7cf324a131dfcbae3fd0f20a9a"],
  ["uws_darwin_arm64_141.node", "8555586f69116620ac17540b2a7a2459c5db1cebee5c36fd77157dd352fabf82"],
  ["uws_darwin_x64_127.node", "fd551673f3ce1f104d7cec3ba8f628d9d04853eff1045c9d95983372ed90bca0"],
  ["uws_darwin_x64_137.node", "98fd7e9456e2d37d3262b05b053d673830927f91c63c0c2ae73bde8d19eef293"],
  ["uws_darwin_x64_141.node", "e64e8a42347b5f9861b0f2bfa0981d8e48914e9b26ec73e133ba454d9a580777"],
  ["uws_linux_arm64_127.node", "82b79bd18d1e3563de336156005bd01b7f39fc387b65173d69a29da4ee79f895"],
  ["uws_linux_arm64_137.node", "88618b30ddf6b2b62310db89f40a701616676352aac5e0f6184dd8ef876199ce"],
  ["uws_linux_arm64_141.node", "81d0186dd1549ed6a7f47e68e323573fc27d69d2920527654ce2dd993af2b0ec"],
  ["uws_linux_x64_127.node", "4b55b1f2cb7a7913febbb65a89496412b96af77e838552980092ba6b33723aac"],
  ["uws_linux_x64_137.node", "98128405dba2fb608448e921a979530f70c946a2cc9889c15f2fa70c2d00ab05"],
  ["uws_linux_x64_141.node", "813d788b347c6fd76b779d8932311ec05a044e612b4b83af220f16e6ea789683"],
  ["uws_win32_x64_127.node", "b4fa85dd015d6d32655f75e9d5b2480124b7649d9265a2b84d8dafe37f88f838"],
  ["uws_win32_x64_137.node", "84ae72d2149e6ffa2a44063344073599027b1ce8bffaab3957903f966b0c6bb9"],
  ["uws_win32_x64_141.node", "59346e454b89d2d0ed1609b7581683bb9fde7edaf3b3f04fe4f6fe03e34c8afd"],
]);

/** SHA-256 of the Linux files after `patchForOlderGlibc` and `acceptHttp10`. */
const ADAPTED_SHA256: ReadonlyMap<string, string> = new Map([
  ["uws_linux_arm64_127.node", "7370283e73466fe8d0065bd800198939f5474f7e658906c5a16892fe4a466711"],
  ["uws_linux_arm64_137.node", "0105969ae1a0ccaf5ea43f359b4129de1e8d08a0db5ca33ea5d3071fece5647f"],
  ["uws_linux_arm64_141.node", "785cb2fbee288c00339e0583ff9cd34fc01874294ffbe4f6d9defa262920ceb8"],
  ["uws_linux_x64_127.node", "35010458fe44d441fac0b7ae76afcf33e964cef348dda3066b6aa8a73fd2f3f2"],
  ["uws_linux_x64_137.node", "862c8c7211a370bdd94b97d0247fb98ff7cf2063c1b33371c8345a6fa5d67e00"],
  ["uws_linux_x64_141.node", "d43b8a023f96c10b750431742a27fd5d86e7ee5ecf58764c9707e2cf01dba652"],
]);

/** The names of all supported files. */
export const BINARIES: readonly string[] = [...SHA256.keys()];

/** Returns the archive of the published package that has a file. Each system and processor has one. */
export function archiveOf(file: string): string {
  return file.replace(/_\d+\.node$/, ".br");
}

/** The files are built against 2.38; an adapted copy runs from 2.36 on. */
const GLIBC_AS_BUILT = [2, 38] as const;
const GLIBC_ADAPTED = [2, 36] as const;
const NODE_OLDEST = [22, 19] as const;

const USE_NODE = "use Node 22 (from 22.19 on), 24 or 25";

/**
 * Chooses the file for a machine.
 * @throws Fault `internal` whose one sentence says what to use instead
 */
export function chooseBinary(machine: Machine): UwsBinary {
  if (!isAtLeast(machine.node, NODE_OLDEST)) {
    throw new Fault("internal", `Node ${machine.node} is too old: ${USE_NODE}.`);
  }
  const mustAdapt = machine.platform === "linux" && lacksAsBuilt(machine.glibc);
  const file = `uws_${machine.platform}_${machine.arch}_${machine.abi}.node`;
  const sha256 = SHA256.get(file);
  if (sha256 !== undefined) return { file, sha256, adapted: ADAPTED_SHA256.get(file), mustAdapt };
  const platform = `_${machine.platform}_${machine.arch}_`;
  if ([...SHA256.keys()].some((known) => known.includes(platform))) {
    throw new Fault("internal", `There is no HTTP binary for Node ${machine.node}: ${USE_NODE}.`);
  }
  throw new Fault(
    "internal",
    `There is no HTTP binary for ${machine.platform} on ${machine.arch}: use Linux (glibc) or macOS on x64 or arm64, or Windows on x64.`,
  );
}

/** Returns true when the C library is older than the one that the files are built against. */
function lacksAsBuilt(glibc: string | undefined): boolean {
  if (glibc === undefined) {
    throw new Fault(
      "internal",
      "The HTTP binary needs glibc, which this Linux (musl?) does not have: use a glibc image such as node:24-slim.",
    );
  }
  if (!isAtLeast(glibc, GLIBC_ADAPTED)) {
    throw new Fault(
      "internal",
      `The HTTP binary needs glibc 2.36 or newer and this system has ${glibc}: use Debian 12, Ubuntu 24.04 or later, or the container image.`,
    );
  }
  return !isAtLeast(glibc, GLIBC_AS_BUILT);
}

/** Returns true when `version` ("major.minor...") is `least` or newer; false when it cannot be read. */
function isAtLeast(version: string, least: readonly [number, number]): boolean {
  const [major = Number.NaN, minor = Number.NaN] = version.split(".").map(Number);
  return major > least[0] || (major === least[0] && minor >= least[1]);
}
