/**
 * The seam between HTTP and the rest of the gateway: requests, replies and routes. Only the server behind it, in
 * server.ts, front-end.ts, request.ts and reply.ts, knows uWebSockets.js.
 *
 * The traps of uWebSockets.js end there. A reply may be used after its client has gone: nothing happens. Each write is
 * corked. Bodies arrive whole and bounded. The last bytes of a stream never stay behind in a full socket.
 */
import type { KeyRole } from "../../core/access/key-record.ts";

/** Names and values, sent in this order. Line breaks in a value are sent as spaces. */
export type Headers = readonly (readonly [string, string])[];

export interface HttpRequest {
  /** As sent: `GET`. */
  readonly method: string;
  /** The path as sent, not decoded, without the query. */
  readonly path: string;
  /** The text after the question mark; empty without one. */
  readonly query: string;
  readonly headers: RequestHeaders;
  /** The whole body; empty when there is none. */
  readonly body: Buffer;
  /** The peer's address as text; empty once the client is gone or has its answer. */
  readonly remote: string;
}

/** The headers that the gateway reads. Each is empty when absent; the first counts when one is repeated. */
export interface RequestHeaders {
  readonly host: string;
  readonly origin: string;
  /** `x-request-id` */
  readonly requestId: string;
  readonly authorization: string;
  /** `x-api-key` */
  readonly apiKey: string;
  readonly traceparent: string;
  readonly accept: string;
  readonly userAgent: string;
  readonly contentType: string;
  /** `x-sgnet-timeouts` */
  readonly timeouts: string;
  /** `anthropic-version`, which every client of Anthropic's API sends. */
  readonly anthropicVersion: string;
}

/**
 * A reply is either sent whole ({@link send}) or as a stream ({@link start}, {@link write}, {@link end}). The first call
 * of `send` or `start` wins; later ones do nothing. Once the client is gone, every method does nothing.
 */
export interface HttpReply {
  /** True once the client has left before the end of the reply. */
  readonly isGone: boolean;
  /** Adds headers to the reply, of either kind. Without effect once the reply has begun. */
  addHeaders(headers: Headers): void;
  /**
   * Sends the whole answer in one packet, with its Content-Length. 204 and 304 have neither length nor body; the answer
   * to HEAD has no body.
   */
  send(status: number, headers: Headers, body: Buffer | string): void;
  /**
   * Sends status, headers and first bytes of a stream in one packet. When `first` is empty the head leaves with the
   * next bytes written. Returns false when the socket is full: see {@link write}.
   */
  start(status: number, headers: Headers, first: Buffer): boolean;
  /**
   * Sends more of a stream; takes the bytes always (sent or copied). Returns false when the socket is full: do not write
   * again until `onDrain`. Small writes may learn it one write late. A full socket that takes nothing for about 30 s
   * counts as gone (`onGone`); after the end of the reply its connection is cut. Also returns false when nothing can be
   * written at all: before `start`, after the end, or without a client.
   */
  write(bytes: Buffer): boolean;
  /** Ends a stream well, after the last bytes; allowed on a full socket. */
  end(last?: Buffer): void;
  /**
   * Cuts the connection, so that the client sees a broken reply. A client of HTTP/1.0 cannot tell it from the end of a
   * stream. `onGone` is not called for it.
   */
  destroy(): void;
  /** Sets the function that is called, once, when the client leaves before the end. Set it before the handler returns. */
  onGone(callback: () => void): void;
  /** Sets the function that is called each time a full socket has room again. */
  onDrain(callback: () => void): void;
}

/**
 * Called once per request, when the body is whole, or at once where none is read. It must not throw, and must see to it
 * that every reply is ended or destroyed at some time: the server has no timeout of its own.
 */
export type Handler = (request: HttpRequest, reply: HttpReply) => void;

/**
 * Called first, before the body is read. Returns undefined to let the request in, or the handler that answers instead of
 * the route. That handler gets an empty body. A guard may add headers to the reply.
 */
export type Guard = (request: HttpRequest, reply: HttpReply) => Handler | undefined;

export interface Route {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";
  /**
   * uWebSockets.js pattern: `/api/chat`, `/admin/keys/:id` (one piece between slashes), or with a last `*`. It matches
   * paths undecoded.
   */
  readonly path: string;
  readonly handler: Handler;
  /** The least role that may ask. Absent: client, so that a new path shows an observer nothing. */
  readonly role?: KeyRole;
}

/** Returns false for methods that only read: the server does not read the body of such a request. */
export function readsBody(method: string): boolean {
  return method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
}

/**
 * Adds HEAD to every path that answers GET and has no HEAD. The same handler runs, and its reply leaves without a body.
 * So the head of a HEAD, its length included, is always that of the GET.
 */
export function withHeads(routes: readonly Route[]): Route[] {
  const heads = new Set(routes.filter(({ method }) => method === "HEAD").map(({ path }) => path));
  return routes.flatMap((route): Route[] =>
    route.method === "GET" && !heads.has(route.path) ? [route, { ...route, method: "HEAD" }] : [route],
  );
}
