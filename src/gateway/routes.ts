import { Fault, toFault } from "../core/fault.ts";
import type { FaultCode, FaultOptions } from "../core/fault.ts";
import type { Endpoint } from "../core/task.ts";
import { modelInfo, modelPage, readModelPage } from "../protocols/anthropic/models.ts";
import { TASK_ROUTES } from "../protocols/dialects.ts";
import { modelBody, modelsBody, tagsBody, versionBody } from "../protocols/model-lists.ts";
import { allowedModels } from "../core/access/principal.ts";
import type { ModelCard } from "../core/model.ts";
import type { Catalogue } from "./fleet/catalogue.ts";
import { openApiRoute } from "./openapi-route.ts";
import { sendPathFault, sendUnknownPath } from "./http/fault-reply.ts";
import type { Keyring } from "./http/keyring.ts";
import type { Refusals, Routing } from "./http/front-end.ts";
import type { Readiness } from "./fleet/readiness.ts";
import { readsBody, withHeads } from "./http/http.ts";
import type { Handler, Headers, HttpReply, HttpRequest, Route } from "./http/http.ts";
import { RouteTable } from "./http/route-table.ts";
import { probeRoutes } from "./fleet/probes.ts";
import { dialectOfRequest, plainIdHeaders } from "./http/reply-headers.ts";
import type { OnRefused } from "./http/refusal-log.ts";
import { asksForPage } from "./live-page.ts";
import type { Ui } from "./live-page.ts";

/** The parts of a gateway that its routes use. */
export interface RoutesHost {
  // 11 fields: each serves other paths, and all paths are on one screen below
  readonly catalogue: Catalogue;
  readonly version: string;
  /** The commit that it is of; empty when that is not known. */
  readonly build: string;
  readonly keyring: Pick<Keyring, "identify" | "isOpen">;
  /** The fault to send instead of one on a model that no worker serves; the same when absent. */
  readonly unknownModel?: (fault: Fault) => Fault;
  takeTask(endpoint: Endpoint, request: HttpRequest, reply: HttpReply): void;
  readonly readiness: Pick<Readiness, "unready" | "outOfService">;
  /** Further routes: Ollama's views of the fleet, its management, and the acts of admins. */
  readonly management: readonly Route[];
  readonly ui: Ui;
  /** Metrics of this gateway, and of the fleet, in Prometheus' text format. */
  readonly metrics: Readonly<Record<"gateway" | "fleet", () => Promise<string>>>;
  /** Content type of both. */
  readonly metricsType: string;
}

const NATIVE_JSON: Headers = [["content-type", "application/json; charset=utf-8"]];
const JSON_TYPE: Headers = [["content-type", "application/json"]];
/** For models: OpenAI's and Anthropic's clients share these paths, and caches must know it. */
const TWO_FORMS: Headers = [["vary", "anthropic-version"]];
const MODEL_TYPE: Headers = [...JSON_TYPE, ...TWO_FORMS];
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
  return withHeads([
    ...tasks,
    ...host.management,
    ...host.ui.routes,
    ...probeRoutes(host),
    readable("/", (request, reply) => {
      if (asksForPage(request)) host.ui.page(request, reply);
      else {
        reply.send(200, [...TEXT, ["vary", "Accept"], ...plainIdHeaders(request)], "Ollama is running");
      }
    }),
    readable("/api/version", (request, reply) => {
      reply.send(200, [...NATIVE_JSON, ...plainIdHeaders(request)], versionBody(host.version));
    }),
    readable("/api/tags", (request, reply) => {
      reply.send(200, [...NATIVE_JSON, ...plainIdHeaders(request)], tagsBody(modelsFor(host, request)));
    }),
    readable("/v1/models", allModels(host)),
    readable(`${MODEL_PREFIX}*`, oneModel(host)),
    readable("/metrics", metrics(host, "gateway")),
    readable("/metrics/fleet", metrics(host, "fleet")),
    readable("/openapi.json", openApiRoute(host)),
  ]);
}

/** A view of the fleet, without any prompt. */
function readable(path: string, handler: Handler): Route {
  return { method: "GET", path, handler, role: "observer" };
}

/** The models that a request may use: to its client there are no others. */
function modelsFor({ catalogue, keyring }: RoutesHost, { headers }: HttpRequest): readonly ModelCard[] {
  return allowedModels(keyring.identify(headers), catalogue.models);
}

function allModels(host: RoutesHost): Handler {
  return (request, reply) => {
    const asAnthropic = dialectOfRequest(request) === "anthropic";
    try {
      const models = modelsFor(host, request);
      const body = asAnthropic ? modelPage(models, readModelPage(request.query)) : modelsBody(models);
      reply.send(200, [...MODEL_TYPE, ...plainIdHeaders(request)], body);
    } catch (error) {
      sendPathFault(request, reply, toFault(error), TWO_FORMS);
    }
  };
}

/** Ids may hold slashes, plain or as %2F. A path without an id is the list, with a slash too many. */
function oneModel(host: RoutesHost): Handler {
  return (request, reply) => {
    const name = decode(request.path.slice(MODEL_PREFIX.length)).replace(/\/$/, "");
    if (name === "") {
      allModels(host)(request, reply);
      return;
    }
    const key = host.catalogue.find(name);
    const card = modelsFor(host, request).find((model) => model.key === key);
    if (card !== undefined) {
      const bodyOf = dialectOfRequest(request) === "anthropic" ? modelInfo : modelBody;
      reply.send(200, [...MODEL_TYPE, ...plainIdHeaders(request)], bodyOf(card, name));
      return;
    }
    const fault = new Fault("model_not_found", `model '${name}' not found`);
    sendPathFault(request, reply, host.unknownModel?.(fault) ?? fault, TWO_FORMS);
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function metrics(host: RoutesHost, of: keyof RoutesHost["metrics"]): Handler {
  return (request, reply) => {
    void sendMetrics(host.metrics[of], { type: host.metricsType, ids: plainIdHeaders(request) }, reply);
  };
}

/** Without Redis the state of the fleet is unknown: then no page is better than one that seems well. */
async function sendMetrics(
  page: () => Promise<string>,
  { type, ids }: { readonly type: string; readonly ids: Headers },
  reply: HttpReply,
): Promise<void> {
  try {
    reply.send(200, [["content-type", type], ...ids], await page());
  } catch (error) {
    const { http, message } = toFault(error);
    reply.send(http, [...TEXT, ...ids], message);
  }
}

/**
 * Answers every path and method that no route has. A path with a slash too many is answered as the path itself. A known
 * path gets 405 with its methods, an unknown one 404.
 */
export function buildFallback(routes: readonly Route[]): Required<Omit<Routing, "routes">> {
  const table = new RouteTable(routes);
  return {
    fallback: (request, reply) => {
      const route = table.routeOf(request);
      if (route === undefined) refuseMethod(table.routesOf(request), request, reply);
      else route.handler(request, reply);
    },
    fallbackReads: (request) => readsBody(request.method) && table.routeOf(request) !== undefined,
  };
}

/** @param found the routes of the path, for other methods */
function refuseMethod(found: readonly Route[] | undefined, request: HttpRequest, reply: HttpReply): void {
  if (found === undefined) {
    sendUnknownPath(request, reply);
    return;
  }
  const fault = new Fault("method_not_allowed", "405 method not allowed");
  sendPathFault(request, reply, fault, [["allow", found.map(({ method }) => method).join(", ")]]);
}

/** @param maxBytes largest body */
export function buildRefusals(
  maxBytes: number,
  onRefused: OnRefused,
): Required<Omit<Refusals, "tooManyConnections">> {
  const refuse = (code: FaultCode, message: string, options: FaultOptions = {}): Handler => {
    return (request, reply) => {
      onRefused(code, request);
      sendPathFault(request, reply, new Fault(code, message, options));
    };
  };
  return {
    tooLarge: refuse("request_too_large", `the request body is larger than ${maxBytes} bytes`),
    malformed: refuse(
      "invalid_request",
      "the request must tell the length of its body once: as digits, or as chunked",
    ),
    prefaced: refuse(
      "invalid_request",
      "the connection began with a PROXY protocol preface: this server takes none, send plain HTTP",
    ),
    hostless: refuse("invalid_request", "the request names no host: HTTP/1.1 needs the header Host"),
    tooManyPieces: refuse(
      "invalid_request",
      "the request body comes in too many small pieces: send larger chunks",
    ),
    noRoom: (retryAfter) =>
      refuse("overloaded", "server busy, please try again.  maximum bytes of requests exceeded", {
        retryAfter,
      }),
  };
}
