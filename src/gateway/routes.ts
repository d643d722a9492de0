import { Fault } from "../core/fault.ts";
import type { Endpoint } from "../core/task.ts";
import { faultFace, TASK_ROUTES } from "../protocols/catalogue.ts";
import { modelBody, modelsBody, tagsBody, versionBody } from "../protocols/listings.ts";
import type { Catalogue } from "./catalogue.ts";
import { faultHeaders } from "./exchange.ts";
import type { Handler, Headers, HttpReply, HttpRequest, Route } from "./http.ts";

/** What the routes need of their gateway. */
export interface RoutesHost {
  readonly catalogue: Catalogue;
  readonly version: string;
  takeTask(endpoint: Endpoint, request: HttpRequest, reply: HttpReply): void;
  /** Why requests cannot be served now; undefined when they can. */
  unready(): Fault | undefined;
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

const NATIVE_JSON: Headers = [["content-type", "application/json; charset=utf-8"]];
const JSON_TYPE: Headers = [["content-type", "application/json"]];
const TEXT: Headers = [["content-type", "text/plain; charset=utf-8"]];

const MODEL_PREFIX = "/v1/models/";

/** Every path of the gateway, on one screen. */
export function buildRoutes(host: RoutesHost): Route[] {
  const tasks = TASK_ROUTES.map(({ method, path, endpoint }): Route => {
    const handler: Handler = (request, reply) => {
      host.takeTask(endpoint, request, reply);
    };
    return { method, path, handler };
  });
  return [
    ...tasks,
    ...readable("/", (_request, reply) => {
      reply.send(200, TEXT, "Ollama is running");
    }),
    ...readable("/api/version", (_request, reply) => {
      reply.send(200, NATIVE_JSON, versionBody(host.version));
    }),
    ...readable("/api/tags", (_request, reply) => {
      reply.send(200, NATIVE_JSON, tagsBody(host.catalogue.models));
    }),
    {
      method: "GET",
      path: "/v1/models",
      handler: (_request, reply) => {
        reply.send(200, JSON_TYPE, modelsBody(host.catalogue.models));
      },
    },
    { method: "GET", path: `${MODEL_PREFIX}*`, handler: oneModel(host) },
    { method: "GET", path: "/healthz", handler: (_request, reply) => reply.send(200, TEXT, "ok") },
    { method: "GET", path: "/readyz", handler: readiness(host) },
    { method: "GET", path: "/metrics", handler: metrics(host) },
  ];
}

/** A path that answers GET and HEAD. */
function readable(path: string, handler: Handler): Route[] {
  return [
    { method: "GET", path, handler },
    { method: "HEAD", path, handler },
  ];
}

/** Ids may hold slashes, written as they are or as %2F. */
function oneModel(host: RoutesHost): Handler {
  return (request, reply) => {
    const asked = decode(request.path.slice(MODEL_PREFIX.length));
    const key = host.catalogue.find(asked);
    const card = host.catalogue.models.find((model) => model.key === key);
    if (card !== undefined) reply.send(200, JSON_TYPE, modelBody(card, asked));
    else sendPathFault(request, reply, new Fault("model_not_found", `model '${asked}' not found`));
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readiness(host: RoutesHost): Handler {
  return (_request, reply) => {
    const fault = host.unready();
    if (fault === undefined) reply.send(200, TEXT, "ready");
    else reply.send(fault.http, faultHeaders(fault, "text/plain; charset=utf-8", ""), fault.message);
  };
}

function metrics(host: RoutesHost): Handler {
  return (_request, reply) => {
    void sendMetrics(host, reply);
  };
}

async function sendMetrics(host: RoutesHost, reply: HttpReply): Promise<void> {
  try {
    const { contentType, body } = await host.metrics();
    reply.send(200, [["content-type", contentType]], body);
  } catch {
    reply.send(500, TEXT, "metrics could not be collected");
  }
}

/** Answers every path and method no route has: 405 with the methods that would do, else 404. */
export function buildFallback(routes: readonly Route[]): Handler {
  const methods = new Map<string, string[]>();
  for (const route of routes) methods.set(route.path, [...(methods.get(route.path) ?? []), route.method]);
  return (request, reply) => {
    const allowed = methods.get(request.path);
    if (allowed === undefined) {
      sendPathFault(request, reply, new Fault("path_not_found", "404 page not found"));
    } else {
      const fault = new Fault("method_not_allowed", "405 method not allowed");
      sendPathFault(request, reply, fault, [["allow", allowed.join(", ")]]);
    }
  };
}

/** Answers a body above the limit. */
export function buildTooLarge(maxBytes: number): Handler {
  return (request, reply) => {
    const fault = new Fault("request_too_large", `the request body is larger than ${maxBytes} bytes`);
    sendPathFault(request, reply, fault);
  };
}

/** A fault in the dialect that the path belongs to. */
function sendPathFault(request: HttpRequest, reply: HttpReply, fault: Fault, more: Headers = []): void {
  const face = faultFace(request.path.startsWith("/v1/") ? "openai" : "ollama");
  const { contentType, body } = face.body(fault, "");
  reply.send(fault.http, [...faultHeaders(fault, contentType, ""), ...more], body);
}
