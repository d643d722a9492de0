/** A minimal reader of HTTP/1.1 requests on a kept connection, fed with bytes cut anywhere. */

/** One complete request. */
export interface SimRequest {
  readonly method: string;
  readonly path: string;
  /** The body as text, empty without one. */
  readonly body: string;
}

const NOTHING: Buffer = Buffer.alloc(0);

/** Splits a connection's bytes into requests. Throws an Error on a body without a Content-Length. */
export class RequestReader {
  #held = NOTHING;

  /** Takes bytes and hands every request they complete to `take`. */
  feed(bytes: Buffer, take: (request: SimRequest) => void): void {
    let rest = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    while (rest.length > 0) {
      const used = readOne(rest, take);
      if (used === 0) break;
      rest = rest.subarray(used);
    }
    this.#held = rest;
  }
}

/** Reads one request from the front of `bytes`; returns the bytes it took, 0 while it is incomplete. */
function readOne(bytes: Buffer, take: (request: SimRequest) => void): number {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return 0;
  const head = bytes.toString("latin1", 0, headEnd);
  if (/\r\ntransfer-encoding:/i.test(head)) throw new Error("a chunked request body");
  const bodyStart = headEnd + 4;
  const end = bodyStart + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  if (bytes.length < end) return 0;
  const [method = "", path = ""] = head.split(" ", 2);
  take({ method, path, body: bytes.toString("utf8", bodyStart, end) });
  return end;
}
