import { Fault, toFault } from "../core/fault.ts";
import { isObject, type Json } from "../core/json.ts";
import type { BackendAddress } from "./address.ts";
import { HttpOrigin, type WholeReply, type HttpTarget } from "./http.ts";
import { HTTP_KINDS, PROFILES, type HttpKind } from "./profiles.ts";

/** Time limit for the probe of a local port, ms. */
const LOCAL_PROBE_MS = 500;

/** The ports of this machine that are probed for LLM servers. */
export const LOCAL_PORTS: readonly number[] = HTTP_KINDS.flatMap((kind) => PROFILES[kind].port ?? []);

/**
 * Finds the kind of an LLM server with a few cheap GETs. Throws `backend_unreachable` when no server answers,
 * `backend_busy` when it is starting, and `backend_error` when it is no LLM server. A Stargazer gateway counts as no
 * LLM server, since it would ask itself.
 */
export async function probeKind(target: HttpTarget, signal: AbortSignal): Promise<HttpKind> {
  return withOrigin(target, async (http) => {
    const root = await http.get("/", signal);
    return kindByRoot(root) ?? (await kindByDocuments(http, signal));
  });
}

/** The current kind of a server, with a single GET while the kind is unchanged. Throws as {@link probeKind} does. */
export async function confirmKind(
  target: HttpTarget,
  kind: HttpKind,
  signal: AbortSignal,
): Promise<HttpKind> {
  return withOrigin(target, async (http) => {
    const root = kindByRoot(await http.get("/", signal));
    const isSame = root === kind || (root === undefined && !KNOWN_BY_ROOT.has(kind));
    return isSame ? kind : (root ?? (await kindByDocuments(http, signal)));
  });
}

/** Kinds that the reply to `GET /` shows. */
const KNOWN_BY_ROOT: ReadonlySet<HttpKind> = new Set(["ollama", "llamacpp"]);

async function withOrigin<T>(target: HttpTarget, use: (http: HttpOrigin) => Promise<T>): Promise<T> {
  const http = new HttpOrigin(target);
  try {
    return await use(http);
  } finally {
    await http.close();
  }
}

function kindByRoot({ headers, body }: WholeReply): HttpKind | undefined {
  const server = headers["server"];
  if (server === "stargazer") {
    throw new Fault("backend_error", "this is a Stargazer gateway, not a backend");
  }
  if (server === "llama.cpp") return "llamacpp";
  return body.toString().trim() === "Ollama is running" ? "ollama" : undefined;
}

/** Documents that only one kind of server has, the most certain first. */
const DOCUMENTS: readonly {
  readonly kind: HttpKind;
  readonly path: string;
  fits(document: Json): boolean;
}[] = [
  { kind: "llamacpp", path: "/props", fits: (json) => has(json, "total_slots", "number") },
  { kind: "lmstudio", path: "/api/v0/models", fits: isModelList },
  { kind: "exo", path: "/node_id", fits: (json) => typeof json === "string" },
  { kind: "vllm", path: "/version", fits: (json) => has(json, "version", "string") },
  { kind: "openai", path: "/v1/models", fits: isModelList },
];

async function kindByDocuments(http: HttpOrigin, signal: AbortSignal): Promise<HttpKind> {
  const requests = DOCUMENTS.map(({ path }) => http.getJson(path, signal));
  const documents = await Promise.allSettled(requests);
  const at = documents.findIndex((request, index) => {
    return request.status === "fulfilled" && DOCUMENTS[index]?.fits(request.value) === true;
  });
  // A failed request might have shown a kind that comes earlier: a busy vLLM lists models, too.
  const before = at < 0 ? documents : documents.slice(0, at);
  const faults = before.flatMap((request) =>
    request.status === "rejected" ? [toFault(request.reason)] : [],
  );
  const unsure = faults.find((fault) => fault.code !== "backend_error");
  if (unsure !== undefined) throw unsure;
  const kind = DOCUMENTS[at]?.kind;
  if (kind !== undefined) return kind;
  throw new Fault("backend_error", "this server has neither Ollama's nor OpenAI's API, or it requires a key");
}

function has(json: Json, member: string, type: "number" | "string"): boolean {
  return isObject(json) && typeof json[member] === type;
}

/** True for a list of models; some servers send the list without an object around it. */
function isModelList(json: Json): boolean {
  const list = isObject(json) ? json["data"] : json;
  return Array.isArray(list) && list.every((entry) => isObject(entry) && typeof entry["id"] === "string");
}

/**
 * The LLM servers on the usual ports of this machine, in the order of the ports. Stargazer gateways and other servers
 * are left out.
 */
export async function discoverLocal(
  signal: AbortSignal,
  ports: readonly number[] = LOCAL_PORTS,
): Promise<readonly BackendAddress[]> {
  const probes = await Promise.all(ports.map((port) => probePort(port, signal)));
  return probes.filter((probe) => typeof probe === "object");
}

/** Result of a port probe: a backend, no answer, or another server. */
export type PortProbe = BackendAddress | "nothing" | "other";

/** Probes one port of this machine. Never rejects. */
export async function probePort(port: number, signal: AbortSignal): Promise<PortProbe> {
  const origin = `http://127.0.0.1:${port}`;
  const target = { origin, prefix: "", authorization: undefined };
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOCAL_PROBE_MS)]);
    const kind = await probeKind(target, limit);
    return { ...target, kind, url: origin };
  } catch (error) {
    return toFault(error).code === "backend_error" ? "other" : "nothing";
  }
}
