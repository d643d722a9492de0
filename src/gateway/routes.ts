import { Fault, toFault } from "../core/fault.ts";
import type { FaultCode, FaultOptions } from "../core/fault.ts";
import type { Endpoint } from "../core/task.ts";
import { modelInfo, modelPage, readModelPage } from "../protocols/anthropic/models.ts";
import { TASK_ROUTES } from "../protocols/catalogue.ts";
import { modelBody, modelsBody, tagsBody, versionBody } from "../protocols/listings.ts";
import type { Catalogue } from "./catalogue.ts";
import { description } from "./description.ts";
import { sendPathFault, sendUnknownPath } from "./fault-reply.ts";
import { withHeads } from "./heads.ts";
import type { Readiness } from "./readiness.ts";
import { readsBody } from "./http.ts";
import type { Handler, Headers, HttpOptions, HttpReply, HttpRequest, Route } from "./http.ts";
import { withoutSlash } from "./open-paths.ts";
import { probeRoutes } from "./probes.ts";
import { dialectOfRequest, plainIdHeaders } from "./request-id.ts";
import type { OnTurnedAway } from "./turned-away.ts";
import { asksForPage } from "./ui.ts";
import type { Ui } from "./ui.ts";

/** What the routes need of their gateway. */
export interface RoutesHost {
  readonly catalogue: Catalogue;
  readonly version: string;
  /** The commit it is of; empty when that is not known. */
  readonly build: string;
  /** True when clients need a key. */
  readonly needsKey: boolean;
  /** The fault to tell instead of one on a model that no worker serves; the same when absent. */
  readonly unknownModel?: (fault: Fault) => Fault;
  takeTask(endpoint: Endpoint, request: HttpRequest, reply: HttpReply): void;
  readonly readiness: Pick<Readiness, "unready" | "outOfService">;
  /** Further routes: Ollama's views of the fleet and its management, and what admins may do. */
  readonly management: readonly Route[];
  readonly ui: Ui;
  /** Metrics of this gateway, and of the fleet, in Prometheus' text format. */
  readonly metrics: Readonly<Record<"gateway" | "fleet", () => Promise<string>>>;
  /** Of both. */
  readonly metricsType: string;
}

const NATIVE_JSON: Headers = [["content-type", "application/json; charset=utf-8"]];
const JSON_TYPE: Headers = [["content-type", "application/json"]];
/** Of models: OpenAI's and Anthropic's clients ask at the same paths, which caches must know of. */
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
      reply.send(200, [...NATIVE_JSON, ...plainIdHeaders(request)], tagsBody(host.catalogue.models));
    }),
    readable("/v1/models", allModels(host)),
    readable(`${MODEL_PREFIX}*`, oneModel(host)),
    readable("/metrics", metrics(host, "gateway")),
    readable("/metrics/fleet", metrics(host, "fleet")),
    readable("/openapi.json", description(host)),
  ]);
}

function readable(path: string, handler: Handler): Route {
  return { method: "GET", path, handler };
}

function allModels({ catalogue }: RoutesHost): Handler {
  return (request, reply) => {
    const asAnthropic = dialectOfRequest(request) === "anthropic";
    try {
      const body = asAnthropic
        ? modelPage(catalogue.models, readModelPage(request.query))
        : modelsBody(catalogue.models);
      reply.send(200, [...MODEL_TYPE, ...plainIdHeaders(request)], body);
    } catch (error) {
      sendPathFault(request, reply, toFault(error), TWO_FORMS);
    }
  };
}

/** Ids may hold slashes, written as they are or as %2F. Without an id it is the list, with a slash too many. */
function oneModel(host: RoutesHost): Handler {
  return (request, reply) => {
    const asked = decode(request.path.slice(MODEL_PREFIX.length)).replace(/\/$/, "");
    if (asked === "") {
      allModels(host)(request, reply);
      return;
    }
    const key = host.catalogue.find(asked);
    const card = host.catalogue.models.find((model) => model.key === key);
    if (card !== undefined) {
      const bodyOf = dialectOfRequest(request) === "anthropic" ? modelInfo : modelBody;
      reply.send(200, [...MODEL_TYPE, ...plainIdHeaders(request)], bodyOf(card, asked));
      return;
    }
    const fault = new Fault("model_not_found", `model '${asked}' not found`);
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

/** Without Redis nothing is known of the fleet: no page at all, rather than one that looks as if all were well. */
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

/** The handler for paths and methods that no route has, and whether it reads their bodies. */
export interface Fallback {
  readonly fallback: Handler;
  readonly fallbackReads: (request: HttpRequest) => boolean;
}

/**
 * Answers every path and method no route has: a path with a slash too many as the path itself, a known path with 405
 * and the methods that would do, else 404.
 */
export function buildFallback(routes: readonly Route[]): Fallback {
  const exact = new Map<string, Route[]>();
  for (const route of routes) exact.set(route.path, [...(exact.get(route.path) ?? []), route]);
  const patterns = [...exact].filter(([path]) => path.endsWith("/*"));
  const find = (path: string): readonly Route[] | undefined =>
    exact.get(path) ?? patterns.find(([pattern]) => path.startsWith(pattern.slice(0, -1)))?.[1];
  const allFor = ({ path }: HttpRequest): readonly Route[] | undefined => find(withoutSlash(path));
  const routeFor = (request: HttpRequest): Route | undefined =>
    allFor(request)?.find(({ method }) => method === request.method);
  return {
    fallback: (request, reply) => {
      const route = routeFor(request);
      if (route === undefined) refuseMethod(allFor(request), request, reply);
      else route.handler(request, reply);
    },
    fallbackReads: (request) => readsBody(request.method) && routeFor(request) !== undefined,
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

/** What answers bodies that are not read, or have no room beside those that are held already. */
export interface BodyRefusals extends Required<
  Pick<HttpOptions, "tooLarge" | "malformed" | "prefaced" | "hostless" | "crumbs">
> {
  readonly noRoom: (retryAfterSeconds: number) => Handler;
}

/** @param maxBytes of a body */
export function buildRefusals(maxBytes: number, onRefused: OnTurnedAway): BodyRefusals {
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
    crumbs: refuse("invalid_request", "the request body comes in too many small pieces: send larger chunks"),
    noRoom: (retryAfter) =>
      refuse("overloaded", "server busy, please try again.  maximum bytes of requests exceeded", {
        retryAfter,
      }),
  };
}
