import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { ANSWERS, type Asked, modelAnswer, oneModelAnswer, type ScriptedAnswer } from "./answers.ts";

/** A server that answers each endpoint of OpenAI and Anthropic, for any model, with what {@link ANSWERS} has. */
export interface ScriptedBackend {
  readonly url: string;
  stop(): Promise<void>;
}

export interface ScriptedBackendOptions {
  /** What it lists. */
  readonly models: readonly string[];
  /** Another server, such as a mock made from the vendor's description, that answers all but the list of models. */
  readonly mock?: string | undefined;
}

/** Starts one on a free loopback port. */
export async function startScriptedBackend(options: ScriptedBackendOptions): Promise<ScriptedBackend> {
  const server = createServer((request, response) => void serve(request, response, options));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => stop(server),
  };
}

async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

const MODELS = "/v1/models";

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { models, mock }: ScriptedBackendOptions,
): Promise<void> {
  const body = await text(request);
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
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error }));
}

function send(response: ServerResponse, { contentType, body }: ScriptedAnswer): void {
  response.writeHead(200, { "content-type": contentType }).end(body);
}

/** Undefined for what is neither. Forms are looked at no closer than that: what they hold is not needed for an answer. */
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
