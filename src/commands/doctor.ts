import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { resolvedCacheDir } from "../config/load.ts";
import { prepareHttpEnvironment } from "../config/environment.ts";
import type { Settings } from "../config/settings.ts";
import { toFault } from "../core/fault.ts";
import { escapedLine } from "../core/escaped-text.ts";
import { loadUws } from "../gateway/http/uws.ts";
import { checkBackends } from "./doctor-backends.ts";
import { checkKeys, checkGateways } from "./doctor-gateways.ts";
import { checkRedis } from "./doctor-redis.ts";
import { print, printJson } from "./print.ts";
import type { Finding } from "./finding.ts";

/** Runs all checks of this machine and prints one line each, or JSON. Resolves with the exit code. */
export async function runDoctor(settings: Settings, json: boolean): Promise<number> {
  const [redis, backends] = await Promise.all([checkRedis(settings), checkBackends(settings)]);
  const findings = [
    checkNode(process.versions.node),
    checkHttp(settings),
    ...redis.findings,
    ...backends,
    ...checkKeys(settings, redis.refusesAnonymous),
    ...(await checkGateways(settings, redis.gateways)),
    checkFolder("state folder", settings.stateDir),
    checkFolder("cache folder", resolvedCacheDir(settings)),
  ];
  const ok = findings.every((finding) => finding.ok);
  if (json) printJson({ ok, findings });
  else for (const finding of findings) print(lineOf(finding));
  return ok ? 0 : 1;
}

function lineOf({ ok, about, text }: Finding): string {
  return `${ok ? "ok " : "fix"}  ${about.padEnd(13)} ${escapedLine(text)}\n`;
}

/**
 * Checks the version of Node. The HTTP binary limits the supported versions; package.json and bin/sgnet.cjs list the
 * same.
 */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const ok = (major === 22 && minor >= 19) || major === 24 || major === 25;
  return { ok, about: "node", text: ok ? version : `${version}: use 22 (from 22.19 on), 24 or 25.` };
}

function checkHttp(settings: Settings): Finding {
  try {
    prepareHttpEnvironment(settings.maxHeadBytes);
    const { http10 } = loadUws({ cacheDir: resolvedCacheDir(settings) });
    const old = http10 ? "" : "; it does not support HTTP/1.0 here, so health checks must use HTTP/1.1";
    return { ok: true, about: "http", text: `the native HTTP binary loads${old}` };
  } catch (error) {
    return { ok: false, about: "http", text: toFault(error).message };
  }
}

/** Checks that an absolute folder, or its nearest existing parent, is writable. */
export function checkFolder(about: string, folder: string): Finding {
  let there = folder;
  while (!existsSync(there)) there = dirname(there);
  if (!statSync(there).isDirectory()) return { ok: false, about, text: `${there} is not a folder.` };
  try {
    accessSync(there, constants.W_OK | constants.X_OK);
    return { ok: true, about, text: `${folder} is writable` };
  } catch (error) {
    return { ok: false, about, text: `${folder} is not writable (${String(error)}).` };
  }
}
