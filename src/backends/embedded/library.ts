import type * as NodeLlamaCpp from "node-llama-cpp";
import { Fault } from "../../core/fault.ts";

/** The optional package that runs models in this process; loaded only when the embedded model is used. */
export type Library = typeof NodeLlamaCpp;

/** Loads the optional package. Throws `not_implemented` with one sentence when it is not installed. */
export async function loadLibrary(): Promise<Library> {
  try {
    return await import("node-llama-cpp");
  } catch (error) {
    throw new Fault(
      "not_implemented",
      "The embedded model needs the optional package node-llama-cpp, which cannot be loaded here: install it, or set SGNET_EMBEDDED_MODEL=off.",
      { cause: error },
    );
  }
}
