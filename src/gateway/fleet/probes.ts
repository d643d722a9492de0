import { Fault } from "../../core/fault.ts";
import type { Catalogue } from "./catalogue.ts";
import { faultHeaders } from "../http/fault-reply.ts";
import type { Handler, Headers, HttpReply, HttpRequest, Route } from "../http/http.ts";
import type { Readiness } from "./readiness.ts";
import { plainIdHeaders } from "../http/reply-headers.ts";

/** Answers to probes: whether the gateway lives, takes requests, can serve, and which version it is. */

export interface ProbesHost {
  readonly catalogue: Pick<Catalogue, "knowsAny">;
  readonly version: string;
  /** The commit that it is of; empty when that is not known. */
  readonly build: string;
  readonly readiness: Pick<Readiness, "unready" | "outOfService">;
}

const JSON_TYPE: Headers = [["content-type", "application/json"]];
const TEXT: Headers = [["content-type", "text/plain; charset=utf-8"]];

/** The body with which llama.cpp says that it can serve. */
const SERVING = JSON.stringify({ status: "ok" });

/** The paths of probes. */
export function probeRoutes(host: ProbesHost): readonly Route[] {
  const serving = canServe(host, (request, reply) =>
    reply.send(200, [...JSON_TYPE, ...plainIdHeaders(request)], SERVING),
  );
  // SageMaker, whose path it is, and vLLM have an empty body; a word would be one more thing to agree on.
  const ping = canServe(host, (request, reply) => reply.send(200, plainIdHeaders(request), ""));
  const handlers = {
    "/healthz": alive(host),
    "/readyz": answerReadiness(host),
    "/health": serving,
    "/v1/health": serving,
    "/ping": ping,
    "/version": version(host),
  };
  return Object.entries(handlers).map(([path, handler]) => ({
    method: "GET",
    path,
    handler,
    role: "observer",
  }));
}

/** Answers that the process is alive, with its version. */
function alive({ version: number, build }: ProbesHost): Handler {
  const status = { status: "ok", version: number, ...(build === "" ? {} : { build }) };
  const body = Buffer.from(JSON.stringify(status));
  return (request, reply) => reply.send(200, [...JSON_TYPE, ...plainIdHeaders(request)], body);
}

/** Answers whether requests should come here; with the query `strict` whether they would be served. */
function answerReadiness({ readiness }: ProbesHost): Handler {
  return (request, reply) => {
    const { unready } = readiness;
    const fault = new URLSearchParams(request.query).has("strict") ? unready : readiness.outOfService;
    const ids = plainIdHeaders(request);
    const though = unready === undefined ? "" : `, though ${unready.message}`;
    if (fault === undefined) reply.send(200, [...TEXT, ...ids], `ready${though}`);
    else reply.send(fault.http, [...faultHeaders(fault, "text/plain; charset=utf-8"), ...ids], fault.message);
  };
}

/**
 * Answers whether a request for a model can be served: as `/readyz?strict`, and there is a model. Clients of LLM servers
 * wait for it before their first request. A model whose last worker has just left counts: its requests are queued.
 */
function canServe(host: ProbesHost, well: Handler): Handler {
  return (request, reply) => {
    const fault = host.readiness.unready ?? (host.catalogue.knowsAny ? undefined : noModel());
    if (fault === undefined) well(request, reply);
    else sendUnavailable(fault, request, reply);
  };
}

function noModel(): Fault {
  return new Fault("backend_busy", "Loading model: no worker has offered one yet");
}

/** Sends a fault in the form of llama.cpp, whose clients read the number `code`. */
function sendUnavailable(fault: Fault, request: HttpRequest, reply: HttpReply): void {
  const error = { code: fault.http, message: fault.message, type: "unavailable_error" };
  const headers = [...faultHeaders(fault, "application/json"), ...plainIdHeaders(request)];
  reply.send(fault.http, headers, JSON.stringify({ error }));
}

/** Answers with the version as vLLM does. */
function version({ version: number }: ProbesHost): Handler {
  const body = JSON.stringify({ version: number });
  return (request, reply) => reply.send(200, [...JSON_TYPE, ...plainIdHeaders(request)], body);
}
