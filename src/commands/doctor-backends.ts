import { parseBackends } from "../backends/address.ts";
import type { BackendAddress } from "../backends/address.ts";
import { discoverLocal, probeKind } from "../backends/discover.ts";
import { libraryState } from "../backends/embedded/install.ts";
import { resolvedCacheDir } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { toFault } from "../core/fault.ts";
import type { Finding } from "./finding.ts";

const LIMIT_MS = 3000;
const ABOUT = "backends";

/** Checks that the configured LLM servers answer, or lists the servers of this machine. */
export async function checkBackends(settings: Settings): Promise<readonly Finding[]> {
  try {
    const configured = parseBackends(settings.backends);
    if (configured.length > 0) return await Promise.all(configured.map(checkBackend));
    return [whatWillRun(settings, await discoverLocal(AbortSignal.timeout(LIMIT_MS)))];
  } catch (error) {
    return [{ ok: false, about: ABOUT, text: toFault(error).message }];
  }
}

async function checkBackend(address: BackendAddress): Promise<Finding> {
  try {
    const kind = await probeKind(address, AbortSignal.timeout(LIMIT_MS));
    return { ok: true, about: ABOUT, text: `${address.url} answers, kind ${address.kind ?? kind}` };
  } catch (error) {
    return { ok: false, about: ABOUT, text: `${address.url}: ${toFault(error).message}` };
  }
}

function whatWillRun(settings: Settings, found: readonly BackendAddress[]): Finding {
  if (found.length > 0)
    return { ok: true, about: ABOUT, text: `found ${found.map(({ url }) => url).join(", ")}` };
  if (settings.embeddedModel !== "off") return embeddedFinding(resolvedCacheDir(settings));
  const text =
    "no LLM server on this machine, and the embedded model is off: start one, or set SGNET_BACKENDS.";
  return { ok: false, about: ABOUT, text };
}

function embeddedFinding(cacheDir: string): Finding {
  const none = "no LLM server on this machine";
  const state = libraryState(cacheDir);
  if (state === "no npm") {
    const text = `${none}, and no npm on PATH to install the embedded model's library: start one, or set SGNET_BACKENDS.`;
    return { ok: false, about: ABOUT, text };
  }
  const first = state === "to be installed" ? ", after npm has installed its library" : "";
  return { ok: true, about: ABOUT, text: `${none}: the embedded model will answer${first}` };
}
