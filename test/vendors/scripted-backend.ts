import type { IncomingMessage, ServerResponse } from "node:http";
import { bodyOf, LocalServer, respondJson } from "../rig/local-server.ts";
import { ANSWERS, type Asked, modelAnswer, oneModelAnswer, type ScriptedAnswer } from "./answers.ts";

/** A server that answers each endpoint of OpenAI and Anthropic, for any model, with what {@link ANSWERS} has. */
export interface ScriptedBackend {
  readonly url: string;
  stop(): Promise<void>;
}

export interface ScriptedBackendOptions {
  /** Models that it lists. */
  readonly models: readonly string[];
  /** Another server, such as a mock made from the vendor's description, that answers all but the list of models. */
  readonly mock?: string | undefined;
}

/** Starts one on a free loopback port. */
export async function startScriptedBackend(options: ScriptedBackendOptions): Promise<ScriptedBackend> {
  const server = new LocalServer((request, response) => void serve(request, response, options));
  await server.listen();
  return server;
}

const MODELS = "/v1/models";

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { models, mock }: ScriptedBackendOptions,
): Promise<void> {
  const body = (await bodyOf(request)).toString();
  const { pathname } = new URL(request.url ?? "/", "http://backend");
  const asAnthropic = request.headers["anthropic-version"] !== undefined;
  if (request.method === "GET" && pathname === MODELS) send(response, modelAnswer(models, asAnthropic));
  else if (request.method === "GET" && pathname.startsWith(`${MODELS}/`)) {
    send(response, oneModelAnswer(decodeURIComponent(pathname.slice(MODELS.length + 1)), asAnthropic));
  } else if (mock !== undefined) await forward(request, response, { body, mock });
  else {
    const answer = request.method === "POST" ? ANSWERS[pathname] : undefined;
    const wanted = asked(request, body);
    if (answer === undefined) refuse(response, 404, "not found");
    // A worker sends empty requests to learn which endpoints there are.
    else if (wanted === undefined) refuse(response, 400, "the body is no JSON and no form");
    else send(response, answer(wanted));
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  const error = { message, type: "invalid_request_error" };
  respondJson(response, status, { error });
}

function send(response: ServerResponse, { contentType, body }: ScriptedAnswer): void {
  response.writeHead(200, { "content-type": contentType }).end(body);
}

/**
 * The request, or undefined when its body is neither JSON nor a form. The contents of a form do not matter for the
 * answer.
 */
function asked(request: IncomingMessage, sent: string): Asked | undefined {
  if (request.headers["content-type"]?.startsWith("multipart/form-data") === true) {
    return { model: "", stream: /name="stream"\r\n(?:[^\r\n]+\r\n)*\r\ntrue/i.test(sent), body: {} };
  }
  const body = objectIn(sent);
  if (body === undefined) return undefined;
  const model = typeof body["model"] === "string" ? body["model"] : "default";
  return { model, stream: body["stream"] === true, body };
}

function objectIn(sent: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(sent);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Such mocks have their paths without the version: the base URL of their clients holds it. */
async function forward(
  { method = "GET", url = "/", headers }: IncomingMessage,
  response: ServerResponse,
  { body, mock }: { readonly body: string; readonly mock: string },
): Promise<void> {
  const { host: _host, connection: _connection, "content-length": _length, ...others } = headers;
  const answer = await fetch(mock + url.replace(/^\/v1/, ""), {
    method,
    headers: others as Record<string, string>,
    ...(method === "GET" ? {} : { body }),
  });
  const contentType = answer.headers.get("content-type") ?? "application/octet-stream";
  response
    .writeHead(answer.status, { "content-type": contentType })
    .end(Buffer.from(await answer.arrayBuffer()));
}
