/** What is read of a request before its native form dies, that is before the route's callback returns. */
import type { NativeRequest, NativeResponse } from "./uws.ts";

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

/** The headers anyone asks for, each empty when absent; of one that came twice the first. */
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
}

const NO_BYTES = Buffer.alloc(0);

/** A request as received: all but the peer's address is copied out of the native request when it is made. */
export class UwsRequest implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: RequestHeaders;
  body: Buffer = NO_BYTES;
  readonly #res: NativeResponse;
  readonly #isOpen: () => boolean;

  /** `isOpen` tells whether the native response may still be asked for the address. */
  constructor(
    method: string,
    native: { readonly req: NativeRequest; readonly res: NativeResponse; readonly headers: RequestHeaders },
    isOpen: () => boolean,
  ) {
    this.method = method;
    this.path = native.req.getUrl();
    this.query = native.req.getQuery() ?? ""; // undefined without a query, whatever its declaration says
    this.headers = native.headers;
    this.#res = native.res;
    this.#isOpen = isOpen;
  }

  get remote(): string {
    return this.#isOpen() ? Buffer.from(this.#res.getRemoteAddressAsText()).toString("latin1") : "";
  }
}

const WANTED: ReadonlyMap<string, keyof RequestHeaders> = new Map<string, keyof RequestHeaders>([
  ["host", "host"],
  ["origin", "origin"],
  ["x-request-id", "requestId"],
  ["authorization", "authorization"],
  ["x-api-key", "apiKey"],
  ["traceparent", "traceparent"],
  ["accept", "accept"],
  ["user-agent", "userAgent"],
  ["content-type", "contentType"],
  ["x-sgnet-timeouts", "timeouts"],
]);

/** How long a request says its body is. */
export interface BodyLength {
  /** False for a request that has no body at all. */
  readonly present: boolean;
  /** Bytes; undefined for a chunked body. */
  readonly bytes: number | undefined;
}

const NO_BODY: BodyLength = { present: false, bytes: 0 };
const CHUNKED: BodyLength = { present: true, bytes: undefined };
const DIGITS = /^\d+$/;

const NO_HEADERS: RequestHeaders = {
  host: "",
  origin: "",
  requestId: "",
  authorization: "",
  apiKey: "",
  traceparent: "",
  accept: "",
  userAgent: "",
  contentType: "",
  timeouts: "",
};

/** What the lines before a body say. */
export interface Head {
  readonly headers: RequestHeaders;
  /** Undefined when it is not sure where the body ends. */
  readonly length: BodyLength | undefined;
}

/** All in one pass, as the length needs one: to ask for ten headers by name beside it took half a microsecond more. */
export function readHead(req: NativeRequest): Head {
  const found: Partial<Record<keyof RequestHeaders, string>> = {};
  const told: [name: string, value: string][] = [];
  req.forEach((name, value) => {
    const wanted = WANTED.get(name);
    if (wanted !== undefined) found[wanted] ??= value;
    else if (name === "content-length" || name === "transfer-encoding") told.push([name, value]);
  });
  return { headers: { ...NO_HEADERS, ...found }, length: bodyLength(told) };
}

/**
 * Undefined when the length is told twice, in two ways, or in no way this server knows: another server may read
 * another one, and where a body ends is where the next request begins. The native parser takes the first of two
 * lengths and any transfer encoding for "chunked", and looks at the length only after the handler was called.
 */
function bodyLength(told: readonly (readonly [name: string, value: string])[]): BodyLength | undefined {
  const [first] = told;
  if (first === undefined) return NO_BODY;
  const [name, length] = first;
  if (told.length > 1) return undefined;
  if (name === "transfer-encoding") return length.toLowerCase() === "chunked" ? CHUNKED : undefined;
  if (!DIGITS.test(length)) return undefined;
  const bytes = Number(length);
  return bytes === 0 ? NO_BODY : { present: true, bytes };
}

/** Why a body is not handed over. */
export type BodyRefusal = "too-large" | "no-room";

export interface CollectOptions {
  readonly maxBytes: number;
  /** Asked about each piece; false when there is no room for it. */
  readonly takes: (bytes: number) => boolean;
  readonly done: (body: Buffer | BodyRefusal) => void;
}

/**
 * Collects a body and hands it over once, in a buffer of its own: the native memory of a chunk is gone when its
 * callback returns. Hands over why not instead, once, as soon as it is known.
 */
export function collectBody(
  res: NativeResponse,
  length: number | undefined,
  { maxBytes, takes, done }: CollectOptions,
): void {
  let gathered: Gathered | undefined;
  let over = false;
  const refuse = (why: BodyRefusal): void => {
    over = true;
    gathered = undefined;
    done(why);
  };
  res.onData((chunk, isLast) => {
    if (over) return;
    const bytes = new Uint8Array(chunk);
    if ((gathered?.size ?? 0) + bytes.length > maxBytes) {
      refuse("too-large");
    } else if (!takes(bytes.length)) {
      refuse("no-room");
    } else if (isLast && gathered === undefined) {
      done(Buffer.from(bytes));
    } else {
      gathered ??= new Gathered(length);
      gathered.add(bytes);
      if (isLast) done(gathered.take());
    }
  });
}

/** Chunks of one body: copied once into their final place when the length was told, else joined at the end. */
class Gathered {
  size = 0;
  readonly #whole: Buffer | undefined;
  readonly #pieces: Buffer[] = [];

  constructor(length: number | undefined) {
    this.#whole = length === undefined ? undefined : Buffer.allocUnsafeSlow(length);
  }

  add(bytes: Uint8Array): void {
    if (this.#whole === undefined) this.#pieces.push(Buffer.from(bytes));
    else this.#whole.set(bytes, this.size);
    this.size += bytes.length;
  }

  take(): Buffer {
    return this.#whole ?? Buffer.concat(this.#pieces, this.size);
  }
}
