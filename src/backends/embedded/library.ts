import { pathToFileURL } from "node:url";
import type * as NodeLlamaCpp from "node-llama-cpp";
import { Fault } from "../../core/fault.ts";
import { installLibrary } from "./install.ts";
import { packagedEntries } from "./library-lock.ts";

/** The package that runs models in this process; loaded only when the embedded model is used. */
export type Library = typeof NodeLlamaCpp;

/**
 * Loads the package: that of the checkout, or the one that the published package installs at first use. Throws one
 * sentence: `not_implemented` when it cannot be loaded here, or what {@link installLibrary} throws.
 * @param cacheDir folder that it is installed into
 */
export async function loadLibrary(cacheDir: string): Promise<Library> {
  const entries = packagedEntries();
  const path = entries === undefined ? undefined : await installLibrary({ cacheDir, entries });
  try {
    if (path === undefined) return await import("node-llama-cpp");
    return (await import(pathToFileURL(path).href)) as Library;
  } catch (error) {
    const advice =
      path === undefined ? "run make install again" : `remove the folder of ${path} to install it anew`;
    throw new Fault(
      "not_implemented",
      `The embedded model's package node-llama-cpp cannot be loaded here: ${advice}, start an LLM server, or set SGNET_EMBEDDED_MODEL=off.`,
      { cause: error },
    );
  }
}
