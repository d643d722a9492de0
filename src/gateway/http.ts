/**
 * The seam between HTTP and the rest of the gateway. Behind it http-server, http-request and http-reply are all that
 * know uWebSockets.js, whose traps end there: a reply may be used after its client has gone (nothing happens),
 * everything is written in corks, bodies come whole and bounded, and a stream never leaves its tail in a full socket.
 */
import type { UwsModule } from "./uws.ts";

export interface HttpRequest {
  /** As sent: `GET`. */
  readonly method: string;
  /** The path as sent, not decoded, without the query. */
  readonly path: string;
  /** What follows the question mark; empty without one. */
  readonly query: string;
  readonly headers: RequestHeaders;
  /** The whole body; empty when there is none. */
  readonly body: Buffer;
  /** The peer's address as text; empty once the client has gone or has been answered. */
  readonly remote: string;
}

/** The headers anyone asks for, each empty when absent. They are read by name: reading all of them costs more. */
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
}

/** Names and values in the order they are sent. Line breaks in a value are sent as spaces. */
export type Headers = readonly (readonly [string, string])[];

/**
 * A reply is either sent whole ({@link send}) or as a stream ({@link start}, {@link write}, {@link end}); the first of
 * `send` and `start` wins and later ones do nothing. After the client has gone, every method does nothing.
 */
export interface HttpReply {
  /** True once the client has gone away before the end of the reply. */
  readonly aborted: boolean;
  /** The whole answer in one packet, with its Content-Length (none for 204 and 304; no body for HEAD). */
  send(status: number, headers: Headers, body: Buffer | string): void;
  /**
   * Status, headers and first bytes of a stream in one packet. When `first` is empty the head leaves with the first
   * bytes written. Returns false when the socket is full: see {@link write}.
   */
  start(status: number, headers: Headers, first: Buffer): boolean;
  /**
   * Sends more of a stream; the bytes are always taken (copied or sent). Returns false when the socket is full: do
   * not write again until `onDrain`. Small writes may be told one write late. Also false when nothing can be written
   * at all: before `start`, after the end, or without a client.
   */
  write(bytes: Buffer): boolean;
  /** Ends a stream well, after the last bytes; allowed on a full socket. */
  end(last?: Buffer): void;
  /** Cuts the connection so that the client sees a broken reply. `onAbort` is not called for it. */
  destroy(): void;
  /** Sets what is called, once, when the client goes away before the end. Set it before the handler returns. */
  onAbort(callback: () => void): void;
  /** Sets what is called each time a full socket has room again. */
  onDrain(callback: () => void): void;
}

/** Called once per request, when the body is whole. What it does not answer at once it must remember to answer. */
export type Handler = (request: HttpRequest, reply: HttpReply) => void;

export interface Route {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS";
  /** uWebSockets.js pattern: `/api/chat`, `/v1/models/:model`, or with a last `*`. It sees paths undecoded. */
  readonly path: string;
  readonly handler: Handler;
}

export interface HttpOptions {
  readonly uws: UwsModule;
  /** Address or name to listen on. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** True lets several processes listen on one port, each getting a share of the connections. */
  readonly share?: boolean;
  /** Largest request body, in bytes. */
  readonly maxBodyBytes: number;
  readonly routes: readonly Route[];
  /** Answers every other method and path. */
  readonly fallback: Handler;
  /** Answers, in the place of its handler, a request whose body is larger; it sees an empty body. */
  readonly tooLarge: Handler;
}

export interface HttpServer {
  /** The port it listens on. */
  readonly port: number;
  /** Takes no more connections; open requests go on, and each connection closes after its reply. */
  stopListening(): void;
  /** Stops listening and cuts every connection; open replies see an abort. */
  close(): void;
}
