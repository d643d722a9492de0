import type { Settings } from "../config/settings.ts";
import { systemAmbient } from "../core/ambient.ts";
import { toFault } from "../core/fault.ts";
import { readNumCtxPolicy } from "../core/num-ctx.ts";
import type { Log } from "../telemetry/log.ts";
import { parseBackends, type Address } from "./address.ts";
import type { Backend } from "./backend.ts";
import { discoverLocal, probeKind } from "./discover.ts";
import { HttpBackend } from "./http-backend.ts";
import type { HttpBackendOptions } from "./http-backend.ts";
import { LocalWatch } from "./local-watch.ts";
import { ProbedBackend } from "./probed-backend.ts";
import type { HttpKind } from "./profiles.ts";

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
    log.warn(
      "no LLM server on this machine yet, and the embedded model is off: this worker waits for a server",
    );
    return [];
  }
  log.info("no LLM server found on this machine yet: the embedded model answers");
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

/** A search for LLM servers that start later. */
export interface Watch {
  /** @param hire takes a backend on, or rejects */
  start(hire: (backend: Backend) => Promise<void>): void;
  /** Resolves when none will be taken on any more. */
  stop(): Promise<void>;
}

/**
 * Watches this machine for LLM servers, where none were configured.
 * @param given the backends that the worker starts with
 * @param ports those that servers usually have when absent
 */
export function watchLocal(
  options: OpenBackendsOptions,
  given: readonly Backend[],
  ports?: readonly number[],
): Watch | undefined {
  if (parseBackends(options.settings.backends).length > 0) return undefined;
  let watch: LocalWatch | undefined;
  return {
    start: (hire) => {
      const onFound = async (address: Address): Promise<void> => {
        const backend = backendAt(address, address.kind, options);
        await hire(backend);
        options.log.info("backend found", { backend: backend.name });
      };
      const known = new Set(given.map(({ url }) => url));
      watch = new LocalWatch({ onFound, known, ...(ports === undefined ? {} : { ports }) });
      watch.start();
    },
    stop: async () => watch?.stop(),
  };
}

function openFound(address: Address, options: OpenBackendsOptions): Backend {
  const backend = backendAt(address, address.kind, options);
  options.log.info("backend found", { backend: backend.name });
  return backend;
}

async function openConfigured(address: Address, options: OpenBackendsOptions): Promise<Backend> {
  const { log, settings } = options;
  const signal = AbortSignal.timeout(FIRST_LOOK_MS);
  let backend: Backend =
    address.kind === undefined
      ? backendAt(address, undefined, options)
      : new HttpBackend({ kind: address.kind, target: address, ...limitsOf(settings, address) });
  try {
    if (address.kind === undefined) {
      const kind = await probeKind(address, signal);
      backend = backendAt(address, kind, options);
    }
    const { models, slots } = await backend.inspect(signal);
    log.info("backend found", { backend: backend.name, models: models.length, slots });
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

/** @param kind undefined when nothing has answered so far */
function backendAt(
  address: Address,
  kind: HttpKind | undefined,
  { settings, log }: OpenBackendsOptions,
): ProbedBackend {
  return new ProbedBackend({
    address,
    kind,
    limits: limitsOf(settings, address),
    mono: systemAmbient.mono,
    onKind: (backend, before) => {
      log.info("another kind of server answers at the address of a backend", { backend, before });
    },
  });
}

function limitsOf(settings: Settings, { endpoints }: Address): Omit<HttpBackendOptions, "kind" | "target"> {
  const runner = { numCtx: readNumCtxPolicy(settings.numCtx), keepAliveMinMs: settings.keepAliveMinMs };
  return { slots: settings.slots, connectMs: settings.connectTimeoutMs, runner, endpoints };
}
