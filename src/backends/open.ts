import type { Settings } from "../config/settings.ts";
import { toFault } from "../core/fault.ts";
import { readNumCtxPolicy } from "../core/num-ctx.ts";
import type { Log } from "../telemetry/log.ts";
import { parseBackends, type Address } from "./address.ts";
import type { Backend } from "./backend.ts";
import { discoverLocal, probeKind } from "./discover.ts";
import { HttpBackend } from "./http-backend.ts";
import { LateBackend } from "./late-backend.ts";

export interface OpenBackendsOptions {
  readonly settings: Settings;
  readonly log: Log;
}

/** How long a configured backend may take to answer before it counts as not there yet. */
const FIRST_LOOK_MS = 2000;

/**
 * The backends of this worker: those of the settings, else the LLM servers of this machine, else the embedded
 * model. A configured backend that does not answer is kept and comes up when its server does. Without its default model
 * the worker runs all the same. Throws `invalid_request` for a bad list, or what the embedded model says when a file that
 * was named for it cannot be opened.
 */
export async function openBackends(options: OpenBackendsOptions): Promise<readonly Backend[]> {
  const { settings, log } = options;
  const configured = parseBackends(settings.backends);
  if (configured.length > 0) {
    return Promise.all(configured.map((address) => openConfigured(address, options)));
  }
  const found = await discoverLocal(AbortSignal.timeout(FIRST_LOOK_MS));
  if (found.length > 0) return found.map((address) => openFound(address, options));
  if (settings.embeddedModel === "off") {
    log.warn("no LLM server on this machine, and the embedded model is off: this worker has nothing to run");
    return [];
  }
  log.info("no LLM server found on this machine: the embedded model answers");
  const { openEmbedded } = await import("./embedded/embedded.ts");
  try {
    return [await openEmbedded(options)];
  } catch (error) {
    if (settings.embeddedModel !== "") throw error;
    const { code, message } = toFault(error);
    log.warn("the embedded model cannot run: this worker has nothing to run", { code, reason: message });
    return [];
  }
}

function openFound(address: Address, { settings, log }: OpenBackendsOptions): Backend {
  const backend = backendAt(address, settings);
  log.info("backend found", { backend: backend.name });
  return backend;
}

async function openConfigured(address: Address, { settings, log }: OpenBackendsOptions): Promise<Backend> {
  const signal = AbortSignal.timeout(FIRST_LOOK_MS);
  let backend = backendAt(address, settings);
  try {
    if (address.kind === undefined) {
      const kind = await probeKind(address, signal);
      backend = backendAt({ ...address, kind }, settings);
    }
    const { models, slots } = await backend.inspect(signal);
    log.info("backend ready", { backend: backend.name, models: models.length, slots });
  } catch (error) {
    const { code, message } = toFault(error);
    log.warn("backend not ready: it is used as soon as it answers", {
      backend: backend.name,
      code,
      reason: message,
    });
  }
  return backend;
}

function backendAt(address: Address, settings: Settings): Backend {
  const { kind } = address;
  const runner = { numCtx: readNumCtxPolicy(settings.numCtx), keepAliveMinMs: settings.keepAliveMinMs };
  const limits = { slots: settings.slots, connectMs: settings.connectTimeoutMs, runner };
  return kind === undefined
    ? new LateBackend(address, limits)
    : new HttpBackend({ kind, target: address, ...limits });
}
