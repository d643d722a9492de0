import { ERRANDS } from "../core/errand.ts";
import { Fault, toFault } from "../core/fault.ts";
import { modelKey } from "../core/model.ts";
import { greatest } from "../core/long-lists.ts";
import { psBody, STATUS_BODY } from "../protocols/listings.ts";
import { notManaged, readDigest, readOrder, shownTo } from "../protocols/ollama/management.ts";
import type { ModelErrand } from "../protocols/ollama/management.ts";
import { errorOfAll } from "../protocols/ollama/outcomes.ts";
import type { ServerOutcome } from "../protocols/ollama/outcomes.ts";
import { errorOf } from "../protocols/ollama/progress.ts";
import { readShortBody } from "./body.ts";
import type { Catalogue } from "./catalogue.ts";
import { leftOut, nameOf, serversOf } from "./errands.ts";
import type { ErrandAnswer } from "./errand-reply.ts";
import type { ErrandOrder, Errands, Server } from "./errands.ts";
import { sendPathFault } from "./fault-reply.ts";
import type { Handler, Headers, HttpReply, HttpRequest, Route } from "./http.ts";
import type { Keyring } from "./keyring.ts";
import { ProgressReply } from "./progress-reply.ts";
import { plainIdHeaders } from "./request-id.ts";
import type { ShowView } from "./show-view.ts";

export interface ManagementHost {
  readonly catalogue: Pick<Catalogue, "workers" | "cards" | "refreshAnew">;
  readonly errands: Pick<Errands, "send">;
  readonly show: Pick<ShowView, "answer" | "forget">;
  readonly keyring: Pick<Keyring, "isAdmin">;
  /** The fault to tell instead of one on a model or a server that is not there; the same when absent. */
  readonly unknownModel?: (fault: Fault) => Fault;
  /** Why requests cannot be served now; undefined when they can. */
  unready(): Fault | undefined;
}

/** Largest question about a model; largest order: a model that is created may come with texts. */
const MOST_ASKED_BYTES = 64 * 1024;
const MOST_ORDER_BYTES = 4 * 1024 * 1024;

const NATIVE_JSON: Headers = [["content-type", "application/json; charset=utf-8"]];

/** Ollama's views of the fleet, and the orders that change the models of its servers. */
export function managementRoutes(host: ManagementHost): readonly Route[] {
  const orders = ORDERS.map((errand): Route => {
    const { method, path } = ERRANDS[errand];
    return {
      method,
      path,
      handler: guarded(host, errand, (request, reply) => give(host, errand, { request, reply })),
    };
  });
  const blobs = (["ollama-blob-look", "ollama-blob-put"] as const).map((errand): Route => {
    const { method, path } = ERRANDS[errand];
    const handler = guarded(host, errand, (request, reply) => {
      const order = { errand, model: readDigest(request.path.replace(/\/$/, "")), body: request.body };
      giveWhole(host, { order, servers: serversOf(host.catalogue.workers) }, { request, reply });
    });
    return { method, path: `${path}*`, handler };
  });
  return [
    {
      method: "GET",
      path: "/api/ps",
      handler: (request, reply) => {
        reply.send(200, [...NATIVE_JSON, ...plainIdHeaders(request)], psBody(host.catalogue.cards));
      },
    },
    {
      method: "GET",
      path: "/api/status",
      handler: (request, reply) => {
        reply.send(200, [...NATIVE_JSON, ...plainIdHeaders(request)], STATUS_BODY);
      },
    },
    { method: "POST", path: "/api/show", handler: (request, reply) => void show(host, request, reply) },
    ...orders,
    ...blobs,
  ];
}

interface Asked {
  readonly request: HttpRequest;
  readonly reply: HttpReply;
}

type Order = Exclude<ModelErrand, "ollama-show">;

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
    const { value } = readShortBody(request.body, MOST_ASKED_BYTES);
    const { model } = readOrder("ollama-show", value);
    const { status, contentType, body } = await host.show.answer(model, value);
    const shown = status === 200 ? shownTo(request.headers.userAgent, model, body) : body;
    reply.send(status, [["content-type", contentType], ...plainIdHeaders(request)], shown);
  } catch (error) {
    sendPathFault(request, reply, toFault(error));
  }
}

/** Orders are for admins; what a handler throws is told to the client. */
function guarded(host: ManagementHost, errand: keyof typeof ERRANDS, handler: Handler): Handler {
  return (request, reply) => {
    try {
      if (!host.keyring.isAdmin(request.headers)) {
        throw new Fault(
          "policy_disabled",
          `${errand.replace("ollama-", "")} is disabled by policy: it needs a key of SGNET_ADMIN_KEY`,
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

function throwIfUnready(host: ManagementHost): void {
  const unready = host.unready();
  if (unready !== undefined) throw unready;
}

function give(host: ManagementHost, errand: Order, { request, reply }: Asked): void {
  const { value, bytes } = readShortBody(request.body, MOST_ORDER_BYTES);
  const { model, stream } = readOrder(errand, value);
  const servers = chooseServers(serversOf(host.catalogue.workers), errand, model);
  if (!ERRANDS[errand].stream) {
    giveWhole(host, { order: { errand, model, body: bytes }, servers }, { request, reply });
    return;
  }
  const body = Buffer.from(JSON.stringify({ ...value, stream: true }));
  const progress = new ProgressReply({
    reply,
    ids: plainIdHeaders(request),
    stream,
    names: servers.map(nameOf),
    before: errand === "ollama-push" ? [] : leftOut(host.catalogue.workers),
  });
  const sent = servers.map((server, index) => {
    const one = host.errands.send(server, { errand, model, body }, (chunk) => progress.bytes(index, chunk));
    void seen(host, errand, one.answer).then((answer) => progress.ended(index, answer));
    return one;
  });
  reply.onAbort(() => {
    for (const one of sent) one.cancel();
  });
}

/** A model comes to every server; it is changed where it is, and one of those that have it is enough to push it. */
function chooseServers(servers: readonly Server[], errand: Order, model: string): readonly Server[] {
  if (servers.length === 0) throw new Fault("not_implemented", "no Ollama server is in the fleet");
  if (errand === "ollama-pull" || errand === "ollama-create") return servers;
  const key = modelKey(model);
  const holders = servers.filter(({ models }) => models.some((card) => card.key === key));
  if (holders.length === 0) throw notManaged(errand, model);
  return errand === "ollama-push" ? holders.slice(0, 1) : holders;
}

/** Orders that are answered in one piece: good when all servers say so, else what failed where, and the first status. */
function giveWhole(
  host: ManagementHost,
  { order, servers }: { readonly order: ErrandOrder; readonly servers: readonly Server[] },
  asked: Asked,
): void {
  if (servers.length === 0) throw new Fault("not_implemented", "no Ollama server is in the fleet");
  const sent = servers.map((server) => host.errands.send(server, order));
  asked.reply.onAbort(() => {
    for (const one of sent) one.cancel();
  });
  const answers = seen(host, order.errand, Promise.all(sent.map(({ answer }) => answer)));
  void sendMerged(asked, servers, answers);
}

/** The answer, once this gateway's own view has what the errand has changed: its worker announced that before. */
async function seen<T>(host: ManagementHost, errand: ErrandOrder["errand"], answer: Promise<T>): Promise<T> {
  const given = await answer;
  if (!ERRANDS[errand].changes) return given;
  host.show.forget();
  // Without Redis the view stays as it is, and the answer is true all the same.
  await host.catalogue.refreshAnew().catch(() => undefined);
  return given;
}

async function sendMerged(
  { request, reply }: Asked,
  servers: readonly Server[],
  whole: Promise<readonly ErrandAnswer[]>,
): Promise<void> {
  const answers = await whole;
  const failed = answers.find(({ status }) => status >= 300);
  if (failed === undefined) {
    // 201 says that a server had to make something.
    reply.send(greatest(answers.map(({ status }) => status)), plainIdHeaders(request), "");
    return;
  }
  const outcomes = servers.map((server, index): ServerOutcome => {
    const answer = answers[index];
    const error = answer === undefined || answer.status < 300 ? undefined : errorOf(answer.body.toString());
    return { name: nameOf(server), error };
  });
  const body = JSON.stringify({ error: errorOfAll(outcomes) });
  reply.send(failed.status, [...NATIVE_JSON, ...plainIdHeaders(request)], body);
}
