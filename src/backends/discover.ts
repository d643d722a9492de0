import { Fault, toFault } from "../core/fault.ts";
import { isObject, type Json } from "../core/json.ts";
import type { Address } from "./address.ts";
import { HttpOrigin, type HttpTarget } from "./http.ts";
import { HTTP_KINDS, PROFILES, type HttpKind } from "./profiles.ts";
import type { HttpReply } from "./receivers.ts";

/** How long a look at one port of this machine may take. */
const LOCAL_PROBE_MS = 500;

/** The ports on which LLM servers are looked for on this machine. */
export const LOCAL_PORTS: readonly number[] = HTTP_KINDS.flatMap((kind) => PROFILES[kind].port ?? []);

/**
 * Tells the kind of an LLM server by a few cheap GETs. Throws `backend_unreachable` when nothing answers,
 * `backend_busy` when it is starting, `backend_error` when it is no LLM server, or is a gateway of ours: that
 * would ask itself.
 */
export async function probeKind(target: HttpTarget, signal: AbortSignal): Promise<HttpKind> {
  return withOrigin(target, async (http) => {
    const root = await http.get("/", signal);
    return kindByRoot(root) ?? (await kindByDocuments(http, signal));
  });
}

/**
 * Tells whether the server is still of a kind, by a single GET where it is. Returns the kind that it is of now. Throws
 * as {@link probeKind} does.
 */
export async function probeAgain(target: HttpTarget, kind: HttpKind, signal: AbortSignal): Promise<HttpKind> {
  return withOrigin(target, async (http) => {
    const root = kindByRoot(await http.get("/", signal));
    const isSame = root === kind || (root === undefined && !TOLD_BY_ROOT.has(kind));
    return isSame ? kind : (root ?? (await kindByDocuments(http, signal)));
  });
}

/** Kinds that show at the first look. */
const TOLD_BY_ROOT: ReadonlySet<HttpKind> = new Set(["ollama", "llamacpp"]);

async function withOrigin<T>(target: HttpTarget, look: (http: HttpOrigin) => Promise<T>): Promise<T> {
  const http = new HttpOrigin(target);
  try {
    return await look(http);
  } finally {
    await http.close();
  }
}

function kindByRoot({ headers, body }: HttpReply): HttpKind | undefined {
  const server = headers["server"];
  if (server === "stargazer") {
    throw new Fault("backend_error", "this is a Stargazer gateway, not a backend");
  }
  if (server === "llama.cpp") return "llamacpp";
  return body.toString().trim() === "Ollama is running" ? "ollama" : undefined;
}

/** The documents that only one kind of server has, in the order of how sure they are. */
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
  const looks = DOCUMENTS.map(({ path }) => http.getJson(path, signal));
  const documents = await Promise.allSettled(looks);
  const at = documents.findIndex((look, index) => {
    return look.status === "fulfilled" && DOCUMENTS[index]?.fits(look.value) === true;
  });
  // A look that failed by chance could have told a kind that comes first: a vLLM that is busy has models, too.
  const before = at < 0 ? documents : documents.slice(0, at);
  const faults = before.flatMap((look) => (look.status === "rejected" ? [toFault(look.reason)] : []));
  const unsure = faults.find((fault) => fault.code !== "backend_error");
  if (unsure !== undefined) throw unsure;
  const kind = DOCUMENTS[at]?.kind;
  if (kind !== undefined) return kind;
  throw new Fault("backend_error", "this server speaks neither Ollama's nor OpenAI's API, or asks for a key");
}

function has(json: Json, member: string, type: "number" | "string"): boolean {
  return isObject(json) && typeof json[member] === type;
}

/** Some servers have a bare list. */
function isModelList(json: Json): boolean {
  const list = isObject(json) ? json["data"] : json;
  return Array.isArray(list) && list.every((entry) => isObject(entry) && typeof entry["id"] === "string");
}

/**
 * The LLM servers on the well-known ports of this machine, in the order of the ports. Gateways of ours and
 * servers of other kinds are left out.
 */
export async function discoverLocal(
  signal: AbortSignal,
  ports: readonly number[] = LOCAL_PORTS,
): Promise<readonly Address[]> {
  const looks = await Promise.all(ports.map((port) => lookAt(port, signal)));
  return looks.filter((seen) => typeof seen === "object");
}

/** Result of a look at a port of this machine: a backend, nothing that answers, or something else. */
export type Seen = Address | "nothing" | "other";

/** Looks at one port of this machine. Never rejects. */
export async function lookAt(port: number, signal: AbortSignal): Promise<Seen> {
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
