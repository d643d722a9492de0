/**
 * The HTTP front end, and the seam between HTTP and the rest of the gateway. This file, http-request and http-reply are
 * all that know uWebSockets.js, whose traps end there: a reply may be used after its client has gone (nothing
 * happens), everything is written in corks, bodies come whole and bounded, and a stream never leaves its tail in a
 * full socket.
 */
import { createServer } from "node:net";

import { systemAmbient } from "../core/ambient.ts";
import { Fault } from "../core/fault.ts";
import type { Allowance } from "./allowance.ts";
import { type BodyRefusal, collectBody } from "./body-collector.ts";
import type { ConnectionCount } from "./connection-count.ts";
import { type HttpReply, UwsReply } from "./http-reply.ts";
import { type BodyLength, hasPreface, type HttpRequest, readHead, UwsRequest } from "./http-request.ts";
import { Tails } from "./tails.ts";
import type { NativeApp, NativeListener, NativeRequest, NativeResponse, UwsModule } from "./uws.ts";

export type { Headers, HttpReply } from "./http-reply.ts";
export type { HttpRequest, RequestHeaders } from "./http-request.ts";

/**
 * Called once per request, when the body is whole; where none is read, at once. It must not throw, and must see to it that every reply is ended or
 * destroyed at some time: nothing here waits with a clock.
 */
export type Handler = (request: HttpRequest, reply: HttpReply) => void;

/**
 * Called first of all, before the body is read. Gives the handler that answers in the place of the route (the body is
 * not read, it sees an empty one), or undefined to let the request in. It may add headers to the reply.
 */
export type Guard = (request: HttpRequest, reply: HttpReply) => Handler | undefined;

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
  /** Whether the fallback reads the body of a request; when absent, of each. */
  readonly fallbackReads?: (request: HttpRequest) => boolean;
  /** Answers, in the place of its handler, a request whose body is larger; it sees an empty body. */
  readonly tooLarge: Handler;
  /** Answers a request whose body may end at several places; it sees an empty body. The connection is closed. */
  readonly malformed: Handler;
  /** Answers a request behind a PROXY protocol preface; `malformed` does when absent. The connection is closed. */
  readonly prefaced?: Handler;
  /** Answers a request of HTTP/1.1 that names no host; `malformed` does when absent. The connection is closed. */
  readonly hostless?: Handler;
  /** Answers a request whose body comes in too many small pieces; `malformed` does when absent. */
  readonly crumbs?: Handler;
  /** Knows what clients have not taken yet; one of the server's own when absent. */
  readonly tails?: Tails;
  /** Counts connections; requests on those too many are answered by `tooMany`, which says why. */
  readonly connections?: {
    readonly count: ConnectionCount;
    /** Undefined for a request that is let in all the same. */
    readonly tooMany: Guard;
  };
  /** Lets everything in when absent. */
  readonly guard?: Guard;
  /** Bounds the bodies of all requests that arrive or wait for their reply; without it they are not. */
  readonly bodies?: {
    readonly allowance: Allowance;
    /** Answers, in the place of its handler, a request whose body has no room; it sees an empty body. */
    readonly noRoom: (retryAfterSeconds: number) => Handler;
  };
}

export interface HttpServer {
  /** The port it listens on. */
  readonly port: number;
  /** Each connection closes after its next reply: proxies that keep some open take them elsewhere. */
  leave(): void;
  /** Takes no more connections; open requests go on, and each connection closes after its reply. */
  stopListening(): void;
  /** Resolves when answers in one piece have left whole, or after `limitMs`. */
  flushed(limitMs: number): Promise<void>;
  /** Stops listening and cuts every connection; open replies see an abort. */
  close(): void;
}

/**
 * A request that is too large is answered at once. When no more than this is still to come, it is read and thrown
 * away, so that the client, which may read only after writing, gets the answer and keeps its connection.
 */
const SWALLOWED_BYTES = 32 * 1024 * 1024;

/**
 * Reading a body of ten megabytes takes some 20 ms, in which nobody else is served: of bodies above this size one is
 * handled per turn of the event loop.
 */
const LARGE_BYTES = 1024 * 1024;

const VERBS = {
  GET: "get",
  HEAD: "head",
  POST: "post",
  PUT: "put",
  DELETE: "del",
  OPTIONS: "options",
} as const satisfies Record<Route["method"], keyof NativeApp>;

/** uWebSockets.js's LIBUS_LISTEN_EXCLUSIVE_PORT. */
const EXCLUSIVE_PORT = 1;

/**
 * Starts listening. Rejects with an `internal` fault whose cause has the system's error code (EADDRINUSE, EACCES,
 * EADDRNOTAVAIL, ENOTFOUND) when it cannot.
 */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const front = new FrontEnd(options);
  const socket = await front.listen();
  if (socket === false) throw await listenFault(options);
  return front.serve(socket);
}

/** The declaration lacks the form with both a host and options, which the native code has. */
type Listen = (
  host: string,
  port: number,
  options: number,
  callback: (socket: NativeListener | false) => void,
) => void;

/** The handler that answers a request, and whether it reads the body. */
interface Target {
  readonly handler: Handler;
  readonly reads: (request: HttpRequest) => boolean;
}

/** Returns false for methods that only look: the body of such a request is not read, whatever is sent. */
export function readsBody(method: string): boolean {
  return method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
}

class FrontEnd {
  readonly #options: HttpOptions;
  readonly #app: NativeApp;
  #isStopping = false;
  #isLeaving = false;
  readonly #tails: Tails;
  /** Requests with large bodies whose turn has not come. */
  #large: (() => void)[] = [];

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#tails = options.tails ?? new Tails(systemAmbient.mono);
    this.#app = options.uws.App();
    const { fallback, fallbackReads = () => true } = options;
    options.connections?.count.watch(this.#app);
    for (const { method, path, handler } of options.routes) {
      const reads = readsBody(method);
      const target: Target = { handler, reads: () => reads };
      this.#app[VERBS[method]](path, (res, req) => this.#receive(method, { res, req }, target));
    }
    const target: Target = { handler: fallback, reads: fallbackReads };
    this.#app.any("/*", (res, req) => this.#receive(req.getCaseSensitiveMethod(), { res, req }, target));
  }

  listen(): Promise<NativeListener | false> {
    const { host, port, share = false } = this.#options;
    const listen = this.#app.listen.bind(this.#app) as unknown as Listen;
    return new Promise((resolve) => {
      listen(host, port, share ? 0 : EXCLUSIVE_PORT, resolve);
    });
  }

  serve(socket: NativeListener): HttpServer {
    const { uws } = this.#options;
    const leave = (): void => {
      this.#isLeaving = true;
    };
    const stopListening = (): void => {
      if (!this.#isStopping) uws.us_listen_socket_close(socket);
      this.#isStopping = true;
    };
    const close = (): void => {
      stopListening();
      this.#app.close();
    };
    const flushed = async (limitMs: number): Promise<void> => this.#tails.none(limitMs);
    return { port: uws.us_socket_local_port(socket), leave, stopListening, flushed, close };
  }

  #receive(method: string, native: { req: NativeRequest; res: NativeResponse }, target: Target): void {
    const { headers, length, isHttp10, isHostless } = readHead(native.req);
    const reply = new UwsReply(native.res, {
      headOnly: method === "HEAD",
      isHttp10: isHttp10 && this.#options.uws.http10,
      isStopping: () => this.#isStopping || this.#isLeaving,
      tails: this.#tails,
    });
    const request = new UwsRequest(method, { req: native.req, res: native.res, headers }, () => reply.open);
    const { malformed, prefaced = malformed, hostless = malformed } = this.#options;
    if (isHostless) answerAlone({ request, reply }, hostless);
    else if (length === undefined) answerAlone({ request, reply }, malformed);
    else if (hasPreface(native.res)) answerAlone({ request, reply }, prefaced);
    else if (!this.#turnsAway(length, { request, reply })) this.#admit(length, { request, reply }, target);
  }

  /** Nothing of a body is collected before it is known that the client may send one, and that its path reads it. */
  #admit(
    length: BodyLength,
    { request, reply }: { request: UwsRequest; reply: UwsReply },
    { handler, reads }: Target,
  ): void {
    const { maxBodyBytes, tooLarge } = this.#options;
    const turnedAway = this.#options.guard?.(request, reply);
    if (turnedAway !== undefined) {
      this.#answerUnread(length, { request, reply }, turnedAway);
    } else if (!length.present) {
      if (reply.isHttp10 || request.method === "POST" || request.method === "PUT")
        answerAlone({ request, reply }, handler);
      else handler(request, reply);
    } else if (!reads(request)) {
      this.#answerUnread(length, { request, reply }, handler);
    } else if (length.bytes !== undefined && length.bytes > maxBodyBytes) {
      this.#answerUnread(length, { request, reply }, tooLarge);
    } else if (!this.#fits(length.bytes ?? 0)) {
      this.#answerUnread(length, { request, reply }, this.#noRoom(length.bytes ?? 0));
    } else {
      this.#collect(length, { request, reply }, handler);
    }
  }

  /** The connection is one too many, and closed after the answer. */
  #turnsAway(length: BodyLength, { request, reply }: { request: UwsRequest; reply: UwsReply }): boolean {
    const { connections } = this.#options;
    if (connections === undefined || !connections.count.isFull) return false;
    const handler = connections.tooMany(request, reply);
    if (handler === undefined) return false;
    reply.closeAfter();
    this.#answerUnread(length, { request, reply }, handler);
    return true;
  }

  #collect(
    length: BodyLength,
    { request, reply }: { request: UwsRequest; reply: UwsReply },
    handler: Handler,
  ): void {
    collectBody(reply.native, {
      length: length.bytes,
      maxBytes: this.#options.maxBodyBytes,
      // Counted as it comes, not as it was told: else sixteen clients that tell 64 MiB and send none shut out all others.
      takes: (bytes) => this.#hold(reply, bytes),
      done: (body) => {
        if (Buffer.isBuffer(body)) {
          request.body = body;
          const hand: Handler = () => this.#inTurn(body.length, { request, reply }, handler);
          if (body.length === 0 || length.bytes === undefined || reply.isHttp10)
            answerAlone({ request, reply }, hand);
          else hand(request, reply);
          return;
        }
        answerAlone({ request, reply }, this.#refusal(body));
      },
    });
  }

  #refusal(why: BodyRefusal): Handler {
    const { tooLarge, malformed, crumbs = malformed } = this.#options;
    if (why === "no-room") return this.#noRoom(LARGE_BYTES);
    return why === "crumbs" ? crumbs : tooLarge;
  }

  /** False when there is no room for so many bytes more. */
  #fits(bytes: number): boolean {
    return this.#options.bodies?.allowance.fits(bytes) ?? true;
  }

  /** Counts bytes of a body until its reply is over; false when there is no room for them. */
  #hold(reply: UwsReply, bytes: number): boolean {
    const allowance = this.#options.bodies?.allowance;
    if (allowance === undefined || bytes === 0) return true;
    if (!allowance.fits(bytes)) return false;
    reply.hold(allowance, bytes);
    return true;
  }

  #noRoom(bytes: number): Handler {
    const { bodies, tooLarge } = this.#options;
    return bodies === undefined ? tooLarge : bodies.noRoom(bodies.allowance.waitFor(bytes));
  }

  #inTurn(
    bytes: number,
    { request, reply }: { request: HttpRequest; reply: UwsReply },
    handler: Handler,
  ): void {
    if (bytes <= LARGE_BYTES) {
      handler(request, reply);
      return;
    }
    this.#large.push(() => {
      if (reply.open) handler(request, reply);
    });
    if (this.#large.length === 1) setImmediate(this.#nextLarge);
  }

  readonly #nextLarge = (): void => {
    this.#large[0]?.();
    this.#large.shift();
    if (this.#large.length > 0) setImmediate(this.#nextLarge);
  };

  /** What is still to come of the body is thrown away, or not waited for when it may be much. */
  #answerUnread(
    length: BodyLength,
    { request, reply }: { request: HttpRequest; reply: UwsReply },
    handler: Handler,
  ): void {
    const { bytes } = length;
    if (bytes === undefined || (reply.isHttp10 && (bytes === 0 || bytes > SWALLOWED_BYTES))) {
      answerAlone({ request, reply }, handler);
    } else if (reply.isHttp10) {
      // Its connection closes with the answer: what has not come by then would be answered with a reset.
      reply.native.onData((_chunk, isLast) => {
        if (isLast) answerAlone({ request, reply }, handler);
      });
    } else {
      if (bytes > SWALLOWED_BYTES) reply.closeAfter();
      handler(request, reply);
    }
  }
}

/**
 * Answers a request of HTTP/1.0, after which nothing may come, or one of which it is not sure where it ends (a length
 * that can be read in two ways, a body where one is usual and none was found, or chunks: the native parser takes any two bytes for the end of a chunk, and LF alone for
 * that of its size): what follows must not pass for a request. While an answer is owed the native parser
 * hangs up on whatever comes, so the answer is given after this turn, and the connection closes with it.
 */
function answerAlone({ request, reply }: { request: HttpRequest; reply: UwsReply }, handler: Handler): void {
  reply.closeAfter();
  setImmediate(() => {
    if (reply.open) handler(request, reply);
  });
}

/** The native code only says no; Node's own listener, tried once on the same address, says why. */
async function listenFault({ host, port }: HttpOptions): Promise<Fault> {
  const cause = await new Promise<unknown>((resolve) => {
    const probe = createServer().once("error", resolve);
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
  const why = cause instanceof Error ? cause.message : "the reason is gone by now: try again";
  const advice = isTaken(cause) ? "; stop the program that uses this port or choose another" : "";
  return new Fault("internal", `Cannot listen on ${host} port ${port}: ${why}${advice}.`, { cause });
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}
