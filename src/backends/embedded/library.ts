import { pathToFileURL } from "node:url";
import type * as NodeLlamaCpp from "node-llama-cpp";
import { Fault } from "../../core/fault.ts";
import { installLibrary } from "./install.ts";
import { packagedEntries } from "./library-lock.ts";

/** The package that runs models in this process. It is loaded only when the embedded model is used. */
export type Library = typeof NodeLlamaCpp;

/**
 * Loads the package: from the checkout, or as the published package installs it at its first use. Throws one sentence:
 * `not_implemented` when it cannot be loaded here, or the fault of {@link installLibrary}.
 * @param cacheDir folder for the installation
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
