/** Receives each request from native code: refuses it, or reads its body, and calls the handler that answers. */
import { systemAmbient } from "../../core/ambient.ts";
import { BodyCollector } from "./body-collector.ts";
import type { BodyRefusal } from "./body-collector.ts";
import type { ByteQuota } from "./byte-quota.ts";
import type { ConnectionLimit } from "./connection-limit.ts";
import { readsBody } from "./http.ts";
import type { Guard, Handler, HttpRequest, Route } from "./http.ts";
import { PendingWrites } from "./pending-writes.ts";
import { UwsReply } from "./reply.ts";
import type { ReplyServer } from "./reply.ts";
import { hasPreface, readHead, UwsRequest } from "./request.ts";
import type { BodyLength } from "./request.ts";
import type { NativeApp, NativeRequest, NativeResponse, UwsModule } from "./uws.ts";

export interface FrontEndOptions {
  readonly uws: UwsModule;
  readonly routing: Routing;
  readonly refusals: Refusals;
  readonly limits: Limits;
  /** Lets everything in when absent. */
  readonly guard?: Guard;
  /** Knows the bytes that clients have not taken yet; one of the server's own when absent. */
  readonly pendingWrites?: PendingWrites;
}

export interface Routing {
  readonly routes: readonly Route[];
  /** Answers every other method and path. */
  readonly fallback: Handler;
  /** Returns whether the fallback reads the body of a request; when absent, it reads every body. */
  readonly fallbackReads?: (request: HttpRequest) => boolean;
}

/** Handlers that answer instead of the route's; each gets an empty body. */
export interface Refusals {
  /** Answers a request whose body is larger than the limit. */
  readonly tooLarge: Handler;
  /** Answers a request whose body may end at several places. The connection is closed. */
  readonly malformed: Handler;
  /** Answers a request behind a PROXY protocol preface; `malformed` does when absent. The connection is closed. */
  readonly prefaced?: Handler;
  /** Answers a request of HTTP/1.1 that names no host; `malformed` does when absent. The connection is closed. */
  readonly hostless?: Handler;
  /** Answers a request whose body comes in too many small pieces; `malformed` does when absent. */
  readonly tooManyPieces?: Handler;
  /** Answers a request whose body has no room in memory; `tooLarge` does when absent. */
  readonly noRoom?: (retryAfterSeconds: number) => Handler;
  /** Answers requests on connections above the limit. Returns undefined to let one in all the same. */
  readonly tooManyConnections?: Guard;
}

export interface Limits {
  /** Largest request body (bytes). */
  readonly maxBodyBytes: number;
  /** Bounds the bodies of all requests that arrive or wait for their reply; without it they have no bound. */
  readonly bodies?: ByteQuota;
  /** Counts connections; without it they have no bound. */
  readonly connections?: ConnectionLimit;
}

/**
 * A request that is too large is answered at once. Up to this many bytes (32 MiB) that are still to come are read and
 * dropped. A client that reads only after writing then gets the answer and keeps its connection.
 */
const DISCARDED_BYTES = 32 * 1024 * 1024;

const VERBS = {
  GET: "get",
  HEAD: "head",
  POST: "post",
  PUT: "put",
  PATCH: "patch",
  DELETE: "del",
  OPTIONS: "options",
} as const satisfies Record<Route["method"], keyof NativeApp>;

/** Methods of requests that rarely come without a body. */
const USUALLY_HAS_BODY: ReadonlySet<string> = new Set<Route["method"]>(["POST", "PUT", "PATCH"]);

/** The handler that answers a request, and whether it reads the body. */
interface Target {
  readonly handler: Handler;
  readonly reads: boolean | ((request: HttpRequest) => boolean);
}

/** A request, its reply, and the length of the body that the request announces. */
interface Incoming {
  readonly request: UwsRequest;
  readonly reply: UwsReply;
  readonly length: BodyLength;
}

export class FrontEnd implements ReplyServer {
  readonly pendingWrites: PendingWrites;
  readonly #options: FrontEndOptions;
  readonly #bodies: BodyCollector;
  #isLeaving = false;

  constructor(options: FrontEndOptions) {
    this.#options = options;
    this.pendingWrites = options.pendingWrites ?? new PendingWrites(systemAmbient.mono);
    this.#bodies = new BodyCollector(options.limits.maxBodyBytes, options.limits.bodies);
  }

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** From now on each connection closes after its next reply. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** Registers the routes with the native server. */
  register(app: NativeApp): void {
    const { limits, routing } = this.#options;
    const { routes, fallback, fallbackReads = true } = routing;
    limits.connections?.watch(app);
    for (const { method, path, handler } of routes) {
      const target: Target = { handler, reads: readsBody(method) };
      app[VERBS[method]](path, (res, req) => this.#receive(method, { res, req }, target));
    }
    const target: Target = { handler: fallback, reads: fallbackReads };
    app.any("/*", (res, req) => this.#receive(req.getCaseSensitiveMethod(), { res, req }, target));
  }

  #receive(method: string, native: { req: NativeRequest; res: NativeResponse }, target: Target): void {
    const { headers, length, isHttp10, isHostless } = readHead(native.req);
    const { uws, refusals } = this.#options;
    const reply = new UwsReply(native.res, {
      headOnly: method === "HEAD",
      isHttp10: isHttp10 && uws.http10,
      server: this,
    });
    const request = new UwsRequest(method, { req: native.req, headers }, reply);
    const { malformed, prefaced = malformed, hostless = malformed } = refusals;
    if (isHostless) answerAndClose({ request, reply }, hostless);
    else if (length === undefined) answerAndClose({ request, reply }, malformed);
    else if (hasPreface(native.res)) answerAndClose({ request, reply }, prefaced);
    else this.#admit({ request, reply, length }, target);
  }

  /** Reads a body only once it is known that the client may send one, and that the handler reads it. */
  #admit(incoming: Incoming, { handler, reads }: Target): void {
    const { request, reply, length } = incoming;
    const refusal = this.#tooMany(incoming) ?? this.#options.guard?.(request, reply);
    if (refusal !== undefined) {
      answerUnread(incoming, refusal);
    } else if (!length.present) {
      if (reply.isHttp10 || USUALLY_HAS_BODY.has(request.method)) answerAndClose(incoming, handler);
      else handler(request, reply);
    } else if (!(typeof reads === "boolean" ? reads : reads(request))) {
      answerUnread(incoming, handler);
    } else if (length.bytes !== undefined && length.bytes > this.#options.limits.maxBodyBytes) {
      answerUnread(incoming, this.#options.refusals.tooLarge);
    } else if (!this.#bodies.fits(length.bytes ?? 0)) {
      answerUnread(incoming, this.#noRoom(length.bytes ?? 0));
    } else {
      this.#collect(incoming, handler);
    }
  }

  /** Returns the refusal of a request on a connection above the limit, which closes after the answer. */
  #tooMany({ request, reply }: Incoming): Handler | undefined {
    if (this.#options.limits.connections?.isFull !== true) return undefined;
    const refusal = this.#options.refusals.tooManyConnections?.(request, reply);
    if (refusal !== undefined) reply.closeAfter();
    return refusal;
  }

  #collect(incoming: Incoming, handler: Handler): void {
    const { request, reply, length } = incoming;
    this.#bodies.collect(reply, length.bytes, (body) => {
      if (!Buffer.isBuffer(body)) {
        answerAndClose(incoming, this.#refusalOf(body));
        return;
      }
      request.receive(body);
      const next = this.#bodies.inTurn(body.length, handler);
      if (body.length === 0 || length.bytes === undefined || reply.isHttp10) answerAndClose(incoming, next);
      else next(request, reply);
    });
  }

  #refusalOf(why: BodyRefusal): Handler {
    const { tooLarge, malformed, tooManyPieces = malformed } = this.#options.refusals;
    if (why === "no-room") return this.#noRoom();
    return why === "too-many-pieces" ? tooManyPieces : tooLarge;
  }

  #noRoom(bytes?: number): Handler {
    const { noRoom, tooLarge } = this.#options.refusals;
    const seconds = this.#bodies.waitFor(bytes);
    return seconds === undefined ? tooLarge : (noRoom?.(seconds) ?? tooLarge);
  }
}

/** Answers without reading the body. A rest of moderate size is read and dropped, a large one is not waited for. */
function answerUnread(incoming: Incoming, handler: Handler): void {
  const { request, reply, length } = incoming;
  const { bytes } = length;
  if (bytes === undefined || (reply.isHttp10 && (bytes === 0 || bytes > DISCARDED_BYTES))) {
    answerAndClose(incoming, handler);
  } else if (reply.isHttp10) {
    // The connection closes with the answer. The system would answer bytes that come later with a reset.
    reply.native.onData((_chunk, isLast) => {
      if (isLast) answerAndClose(incoming, handler);
    });
  } else {
    if (bytes > DISCARDED_BYTES) reply.closeAfter();
    handler(request, reply);
  }
}

/**
 * Answers a request and closes its connection, so that bytes behind it never pass for a next request. Such requests:
 * HTTP/1.0, a length that reads in two ways, a body that is missing where one is usual, and chunks. The native parser
 * does not check chunks: it takes any two bytes for the end of one, and LF alone for the end of its size.
 *
 * The native parser hangs up when bytes arrive while an answer is due. The handler therefore runs after this turn of the
 * event loop.
 */
function answerAndClose({ request, reply }: Pick<Incoming, "request" | "reply">, handler: Handler): void {
  reply.closeAfter();
  setImmediate(() => {
    if (reply.open) handler(request, reply);
  });
}
