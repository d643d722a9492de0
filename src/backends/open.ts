import type { Settings } from "../config/settings.ts";
import { systemAmbient } from "../core/ambient.ts";
import { toFault } from "../core/fault.ts";
import { readNumCtxPolicy } from "../core/num-ctx.ts";
import type { Log } from "../telemetry/log.ts";
import { parseBackends, type BackendAddress } from "./address.ts";
import type { Backend } from "./backend.ts";
import { discoverLocal, probeKind } from "./discover.ts";
import { HttpBackend } from "./http-backend.ts";
import type { HttpBackendOptions } from "./http-backend.ts";
import { PortWatcher } from "./port-watcher.ts";
import { ProbedBackend } from "./probed-backend.ts";
import type { HttpKind } from "./profiles.ts";

export interface OpenBackendsOptions {
  readonly settings: Settings;
  readonly log: Log;
}

/** Time limit for the first answer of a configured backend, ms. A slower backend is used as soon as it answers. */
const FIRST_PROBE_MS = 2000;

/**
 * Opens the backends of this worker: the configured ones, else the LLM servers of this machine, else the embedded
 * model. A configured backend that does not answer is kept and used as soon as its server is up. A worker runs on even
 * when the default model cannot be opened.
 *
 * Throws `invalid_request` for a bad list, and the fault of the embedded model when its configured file cannot be
 * opened.
 */
export async function openBackends(options: OpenBackendsOptions): Promise<readonly Backend[]> {
  const { settings, log } = options;
  const configured = parseBackends(settings.backends);
  if (configured.length > 0) {
    return Promise.all(configured.map((address) => openConfigured(address, options)));
  }
  const found = await discoverLocal(AbortSignal.timeout(FIRST_PROBE_MS));
  if (found.length > 0) return found.map((address) => openFound(address, options));
  if (settings.embeddedModel === "off") {
    log.warn("no LLM server on this machine yet, and the embedded model is off: this worker waits for one");
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

/** A search for LLM servers that start after the worker. */
export interface LocalServerSearch {
  /** @param onBackend adds a backend, or rejects */
  start(onBackend: (backend: Backend) => Promise<void>): void;
  /** Stops the search. Resolves when no further backend will be added. */
  stop(): Promise<void>;
}

/**
 * Searches this machine for LLM servers, unless backends are configured.
 * @param given the backends that the worker starts with
 * @param ports ports to probe; absent: the usual ports of LLM servers
 */
export function searchLocalServers(
  options: OpenBackendsOptions,
  given: readonly Backend[],
  ports?: readonly number[],
): LocalServerSearch | undefined {
  if (parseBackends(options.settings.backends).length > 0) return undefined;
  let watch: PortWatcher | undefined;
  return {
    start: (onBackend) => {
      const onFound = async (address: BackendAddress): Promise<void> => {
        const backend = backendAt(address, address.kind, options);
        await onBackend(backend);
        options.log.info("backend found", { backend: backend.name });
      };
      const known = new Set(given.map(({ url }) => url));
      watch = new PortWatcher({ onFound, known, ...(ports === undefined ? {} : { ports }) });
      watch.start();
    },
    stop: async () => watch?.stop(),
  };
}

function openFound(address: BackendAddress, options: OpenBackendsOptions): Backend {
  const backend = backendAt(address, address.kind, options);
  options.log.info("backend found", { backend: backend.name });
  return backend;
}

async function openConfigured(address: BackendAddress, options: OpenBackendsOptions): Promise<Backend> {
  const { log, settings } = options;
  const signal = AbortSignal.timeout(FIRST_PROBE_MS);
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
    log.warn("backend does not answer yet: it is used as soon as it does", {
      backend: backend.name,
      code,
      reason: message,
    });
  }
  return backend;
}

/** @param kind undefined when no server has answered yet */
function backendAt(
  address: BackendAddress,
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

function limitsOf(
  settings: Settings,
  { endpoints }: BackendAddress,
): Omit<HttpBackendOptions, "kind" | "target"> {
  const runner = { numCtx: readNumCtxPolicy(settings.numCtx), keepAliveMinMs: settings.keepAliveMinMs };
  return { slots: settings.slots, connectMs: settings.connectTimeoutMs, runner, endpoints };
}
