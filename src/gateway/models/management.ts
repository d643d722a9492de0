import { keyNamesOf } from "../../core/access/key-names.ts";
import type { KeyNames } from "../../core/access/key-names.ts";
import { MANAGEMENT_ENDPOINTS } from "../../core/management-endpoint.ts";
import { mayUse, allowedModels } from "../../core/access/principal.ts";
import { Fault, toFault } from "../../core/fault.ts";
import type { Auditor } from "../access/auditor.ts";
import { modelKey } from "../../core/model.ts";
import { greatest } from "../../core/long-lists.ts";
import { psBody, STATUS_BODY } from "../../protocols/model-lists.ts";
import {
  furtherModels,
  managedModelNotFound,
  readDigest,
  readManagementHead,
  showBodyFor,
} from "../../protocols/ollama/management.ts";
import type { ModelManagementEndpoint } from "../../protocols/ollama/management.ts";
import { combinedError } from "../../protocols/ollama/server-outcomes.ts";
import type { ServerOutcome } from "../../protocols/ollama/server-outcomes.ts";
import { replyError } from "../../protocols/ollama/progress-merger.ts";
import { readShortBody } from "../requests/body.ts";
import type { Catalogue } from "../fleet/catalogue.ts";
import { leftOut, nameOf, serversOf } from "./management-requests.ts";
import type { ManagementAnswer } from "./management-reply.ts";
import type { ManagementCommand, ManagementRequests, OllamaServer } from "./management-requests.ts";
import { sendPathFault } from "../http/fault-reply.ts";
import type { Handler, Headers, HttpReply, HttpRequest, Route } from "../http/http.ts";
import type { Keyring } from "../http/keyring.ts";
import { ProgressReply } from "./progress-reply.ts";
import { plainIdHeaders } from "../http/reply-headers.ts";
import type { ShowCache } from "./show-cache.ts";

export interface ManagementHost {
  readonly catalogue: Pick<Catalogue, "workers" | "cards" | "refreshAnew">;
  readonly managementRequests: Pick<ManagementRequests, "send">;
  readonly show: Pick<ShowCache, "answer" | "forget">;
  readonly keyring: Pick<Keyring, "identify" | "isAdmin">;
  readonly auditor: Auditor;
  /** Returns the fault to report instead of one on a missing model or server; the same fault when absent. */
  readonly unknownModel?: (fault: Fault) => Fault;
  /** Returns the reason why requests cannot be served now; undefined when they can. */
  unready(): Fault | undefined;
}

/** Largest body of a question about a model, and of an order (bytes). An order may have texts of a new model. */
const MOST_QUESTION_BYTES = 64 * 1024;
const MOST_ORDER_BYTES = 4 * 1024 * 1024;

const NATIVE_JSON: Headers = [["content-type", "application/json; charset=utf-8"]];

/** Returns the routes of Ollama's views of the fleet, and of the orders that change the models of its servers. */
export function managementRoutes(host: ManagementHost): readonly Route[] {
  const orders = ORDERS.map((endpoint): Route => {
    const { method, path } = MANAGEMENT_ENDPOINTS[endpoint];
    return {
      method,
      path,
      role: "admin",
      handler: guarded(host, endpoint, (request, reply) => follow(host, endpoint, { request, reply })),
    };
  });
  const blobs = (["ollama-blob-look", "ollama-blob-put"] as const).map((endpoint): Route => {
    const { method, path } = MANAGEMENT_ENDPOINTS[endpoint];
    const handler = guarded(host, endpoint, (request, reply) => {
      const digest = readDigest(request.path.replace(/\/$/, ""));
      const order = { endpoint, model: digest, body: request.body, ...namesFrom(host, request) };
      if (endpoint === "ollama-blob-put") audit(host, request, { endpoint, target: digest });
      answerWhole(host, { order, servers: serversOf(host.catalogue.workers) }, { request, reply });
    });
    return { method, path: `${path}*`, handler, role: "admin" };
  });
  return [
    {
      method: "GET",
      path: "/api/ps",
      role: "observer",
      handler: (request, reply) => {
        const cards = allowedModels(host.keyring.identify(request.headers), host.catalogue.cards);
        reply.send(200, [...NATIVE_JSON, ...plainIdHeaders(request)], psBody(cards));
      },
    },
    {
      method: "GET",
      path: "/api/status",
      role: "observer",
      handler: (request, reply) => {
        reply.send(200, [...NATIVE_JSON, ...plainIdHeaders(request)], STATUS_BODY);
      },
    },
    { method: "POST", path: "/api/show", handler: (request, reply) => void show(host, request, reply) },
    ...orders,
    ...blobs,
  ];
}

interface Call {
  readonly request: HttpRequest;
  readonly reply: HttpReply;
}

type Order = Exclude<ModelManagementEndpoint, "ollama-show">;

const ORDERS: readonly Order[] = [
  "ollama-pull",
  "ollama-push",
  "ollama-create",
  "ollama-copy",
  "ollama-delete",
];

async function show(host: ManagementHost, request: HttpRequest, reply: HttpReply): Promise<void> {
  try {
    throwIfUnready(host);
    const { value } = readShortBody(request.body, MOST_QUESTION_BYTES);
    const { model } = readManagementHead("ollama-show", value);
    throwUnlessAllowed(host, request, { endpoint: "ollama-show", model });
    const { status, contentType, body } = await host.show.answer(model, value);
    const shown = status === 200 ? showBodyFor(request.headers.userAgent, model, body) : body;
    reply.send(status, [["content-type", contentType], ...plainIdHeaders(request)], shown);
  } catch (error) {
    sendPathFault(request, reply, toFault(error));
  }
}

/** Lets only admins give orders, and reports the errors of a handler to the client. */
function guarded(
  host: ManagementHost,
  endpoint: keyof typeof MANAGEMENT_ENDPOINTS,
  handler: Handler,
): Handler {
  return (request, reply) => {
    try {
      if (!host.keyring.isAdmin(request.headers)) {
        host.auditor.refused(host.auditor.authorOf(request), { action: actionOf(endpoint), target: "" });
        throw new Fault(
          "policy_disabled",
          `${endpoint.replace("ollama-", "")} is disabled by policy: it needs an admin key`,
        );
      }
      throwIfUnready(host);
      handler(request, reply);
    } catch (error) {
      const fault = toFault(error);
      sendPathFault(request, reply, host.unknownModel?.(fault) ?? fault);
    }
  };
}

/** The name of an order in the audit log: `models.pull`. */
function actionOf(endpoint: keyof typeof MANAGEMENT_ENDPOINTS): string {
  return endpoint.replace("ollama-", "models.");
}

/** Tells the audit log of an order that goes to servers. */
function audit(
  { auditor }: ManagementHost,
  request: HttpRequest,
  order: {
    readonly endpoint: keyof typeof MANAGEMENT_ENDPOINTS;
    readonly target: string;
    readonly destination?: unknown;
  },
): void {
  const { endpoint, target, destination } = order;
  const changes = typeof destination === "string" ? { changes: { destination } } : {};
  void auditor.record(auditor.authorOf(request), { action: actionOf(endpoint), target, ...changes }, "sent");
}

/** The names of the admin's key, for the log lines of an order. */
function namesFrom({ keyring }: ManagementHost, { headers }: HttpRequest): KeyNames {
  return keyNamesOf(keyring.identify(headers));
}

/** A model that the key may not use is unknown to its client. Throws `model_not_found`. */
function throwUnlessAllowed(
  host: ManagementHost,
  { headers }: HttpRequest,
  { endpoint, model }: { readonly endpoint: ModelManagementEndpoint; readonly model: string },
): void {
  const principal = host.keyring.identify(headers);
  if (principal === undefined || mayUse(principal, modelKey(model))) return;
  const fault = managedModelNotFound(endpoint, model);
  throw host.unknownModel?.(fault) ?? fault;
}

function throwIfUnready(host: ManagementHost): void {
  const unready = host.unready();
  if (unready !== undefined) throw unready;
}

function follow(host: ManagementHost, endpoint: Order, { request, reply }: Call): void {
  const { value, bytes } = readShortBody(request.body, MOST_ORDER_BYTES);
  const { model, stream } = readManagementHead(endpoint, value);
  for (const named of [model, ...furtherModels(endpoint, value)])
    throwUnlessAllowed(host, request, { endpoint, model: named });
  const servers = chooseServers(serversOf(host.catalogue.workers), endpoint, model);
  audit(host, request, { endpoint, target: model, destination: value["destination"] });
  if (!MANAGEMENT_ENDPOINTS[endpoint].stream) {
    const order = { endpoint, model, body: bytes, ...namesFrom(host, request) };
    answerWhole(host, { order, servers }, { request, reply });
    return;
  }
  const body = Buffer.from(JSON.stringify({ ...value, stream: true }));
  const order = { endpoint, model, body, ...namesFrom(host, request) };
  const progress = new ProgressReply({
    reply,
    ids: plainIdHeaders(request),
    stream,
    names: servers.map(nameOf),
    before: endpoint === "ollama-push" ? [] : leftOut(host.catalogue.workers),
  });
  const sent = servers.map((server, index) => {
    const one = host.managementRequests.send(server, order, (chunk) => progress.bytes(index, chunk));
    void refreshed(host, endpoint, one.answer).then((answer) => progress.ended(index, answer));
    return one;
  });
  reply.onGone(() => {
    for (const one of sent) one.cancel();
  });
}

/** Chooses all servers for a new model, those that have it for a change, one of these for a push. */
function chooseServers(
  servers: readonly OllamaServer[],
  endpoint: Order,
  model: string,
): readonly OllamaServer[] {
  if (servers.length === 0) throw new Fault("not_implemented", "no Ollama server is in the fleet");
  if (endpoint === "ollama-pull" || endpoint === "ollama-create") return servers;
  const key = modelKey(model);
  const holders = servers.filter(({ models }) => models.some((card) => card.key === key));
  if (holders.length === 0) throw managedModelNotFound(endpoint, model);
  return endpoint === "ollama-push" ? holders.slice(0, 1) : holders;
}

/** Answers an order in one piece: success when all servers succeed, else the failures and the first of their statuses. */
function answerWhole(
  host: ManagementHost,
  { order, servers }: { readonly order: ManagementCommand; readonly servers: readonly OllamaServer[] },
  call: Call,
): void {
  if (servers.length === 0) throw new Fault("not_implemented", "no Ollama server is in the fleet");
  const sent = servers.map((server) => host.managementRequests.send(server, order));
  call.reply.onGone(() => {
    for (const one of sent) one.cancel();
  });
  const answers = refreshed(host, order.endpoint, Promise.all(sent.map(({ answer }) => answer)));
  void sendMerged(call, servers, answers);
}

/** Returns the answer once this gateway's view has the change: the worker announced it before it answered. */
async function refreshed<T>(
  host: ManagementHost,
  endpoint: ManagementCommand["endpoint"],
  answer: Promise<T>,
): Promise<T> {
  const result = await answer;
  if (!MANAGEMENT_ENDPOINTS[endpoint].changes) return result;
  host.show.forget();
  // Without Redis the view stays as it is; the answer is still true.
  await host.catalogue.refreshAnew().catch(() => undefined);
  return result;
}

async function sendMerged(
  { request, reply }: Call,
  servers: readonly OllamaServer[],
  whole: Promise<readonly ManagementAnswer[]>,
): Promise<void> {
  const answers = await whole;
  const failed = answers.find(({ status }) => status >= 300);
  if (failed === undefined) {
    // 201 means that a server has created something.
    reply.send(greatest(answers.map(({ status }) => status)), plainIdHeaders(request), "");
    return;
  }
  const outcomes = servers.map((server, index): ServerOutcome => {
    const answer = answers[index];
    const error =
      answer === undefined || answer.status < 300 ? undefined : replyError(answer.body.toString());
    return { name: nameOf(server), error };
  });
  const body = JSON.stringify({ error: combinedError(outcomes) });
  reply.send(failed.status, [...NATIVE_JSON, ...plainIdHeaders(request)], body);
}
