import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Transcript } from "../rig/transcript.ts";
import type { Reply } from "./compare.ts";
import { requestOf } from "./recordings.ts";

/** Where and how a recorded request is sent again. */
export interface AskOptions {
  readonly url: string;
  /** Besides those recorded. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends a recorded request again. A client that left then leaves now, once it has as many lines. */
export async function ask(transcript: Transcript, { url, headers = {} }: AskOptions): Promise<Reply> {
  const { hostname, port } = new URL(url);
  const body = requestOf(transcript);
  const sent = {
    accept: "*/*",
    ...Object.fromEntries(transcript.sent),
    ...headers,
    ...(body === "" ? {} : { "content-length": String(Buffer.byteLength(body)) }),
    // As curl does for bodies of this size.
    ...(body.length > 1_048_576 ? { expect: "100-continue" } : {}),
  };
  const lines = transcript.left ? linesIn(transcript.body.toString()) : Infinity;
  return new Promise((resolve, reject) => {
    const { method, path } = transcript;
    const request = httpRequest({ hostname, port, method, path, headers: sent, agent: false }, (response) => {
      resolve(gather(response, lines));
    });
    request.on("error", reject);
    if ("expect" in sent) request.on("continue", () => request.end(body));
    else request.end(body);
  });
}

function linesIn(text: string): number {
  return text.split("\n").length - 1;
}

async function gather(response: IncomingMessage, lines: number): Promise<Reply> {
  const headers = new Map(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
  let body = "";
  response.setEncoding("utf8");
  for await (const text of response) {
    body += String(text);
    if (linesIn(body) >= lines) break;
  }
  return { status: response.statusCode ?? 0, headers, body };
}

/** Sends a request of HTTP/1.0, which node's own client does not speak. */
export async function askHttp10({ method, path }: Transcript, { url }: AskOptions): Promise<Reply> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.setEncoding("utf8");
  socket.write(`${method} ${path} HTTP/1.0\r\nHost: ${hostname}:${port}\r\n\r\n`);
  let text = "";
  for await (const piece of socket) text += String(piece);
  const [head = "", body = ""] = text.split("\r\n\r\n", 2);
  const [status = "", ...lines] = head.split("\r\n");
  const headers = lines.map((line): [string, string] => {
    const [name = "", ...rest] = line.split(":");
    return [name.toLowerCase(), rest.join(":").trim()];
  });
  return { status: Number(status.split(" ")[1]), headers: new Map(headers), body };
}

/** The recorded side of a comparison. */
export function recordedReply({ status, headers, body }: Transcript): Reply {
  return { status, headers, body: body.toString() };
}
