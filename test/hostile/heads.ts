import * as fc from "fast-check";
import { BODIES } from "./bodies.ts";
import { spoiled, twisted } from "./json.ts";

/** Requests as somebody might write them onto a socket who wants harm. */

const METHODS = [
  "GET",
  "POST",
  "PUT",
  "DELETE",

  "OPTIONS",
  "PATCH",
  "TRACE",
  "CONNECT",
  "post",
  "G\0T",
  "<",
  "PRI",
];
const PATHS = [
  ...Object.keys(BODIES),
  "/",
  "/ui",
  "/ui/",
  "/api/tags",
  "/api/ps",
  "/api/version",
  "/api/blobs/sha256:00",
  "/api/delete",
  "/v1/models",
  "/v1/models/tiny",
  "/healthz",
  "/readyz",
  "/metrics",
];
const TWISTS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => `/${path}`,
  (path) => `${path}/`,
  (path) => `/x/..${path}`,
  (path) => `/.${path}`,
  (path) => `/%2e%2e${path}`,
  (path) => path.replaceAll("/", "%2f"),
  (path) => `${path}%00`,
  (path) => `${path}%0d%0aX-Evil:%20yes`,
  (path) => `${path}/../../etc/passwd`,
  (path) => `${path}?${"a=b&".repeat(200)}`,
  (path) => `${path}?%`,
  (path) => `${path}#x`,
  (path) => `${path}/%ff%fe/\xff`,
  (path) => `http://127.0.0.1:1${path}`,
  (path) => path.slice(1),
  (path) => `${path}/__proto__`,
  (path) => `${path}/${"x".repeat(3000)}`,
  () => "*",
  () => "",
  (path) => path.toUpperCase(),
];
const HEADERS: readonly string[] = [
  "Host: 127.0.0.1",
  "Host: elsewhere.example",
  "Origin: http://elsewhere.example",
  "Origin: null",
  "Authorization: Bearer \xff\xfe",
  "X-Api-Key: ",
  "X-Request-Id: a\tb",
  `X-Request-Id: ${"r".repeat(500)}`,
  "X-Request-Id: __proto__",
  "X-Sgnet-Timeouts: total=-1",
  "X-Sgnet-Timeouts: total=1e999,__proto__=1",
  "Traceparent: 00-00000000000000000000000000000000-0000000000000000-00",
  "Traceparent: ff-\xff",
  "Accept: text/html",
  "Content-Type: text/plain; charset=utf-16",
  "Content-Encoding: gzip",
  "Content-Type: multipart/form-data; boundary=x",
  "Connection: close",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Key: x",
  "Sec-WebSocket-Version: 13",
  "Expect: 100-continue",
  "Range: bytes=0-0,1-1",
  "If-None-Match: *",
  "X-Forwarded-For: 127.0.0.1",
  "X-HTTP-Method-Override: DELETE",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: \x0bchunked",
  "Content-Length: 0",
  "Content-Length: 5",
  "Content-Length: 99999999",
  "Content-Length: 1, 1",
  "Cookie: a=b",
  ": nameless",
  "nameless",
  " folded",
  "X\0Y: z",
  "X: \x7f\x01",
  `X: ${"y".repeat(20_000)}`,
  "Y: z\r\n".repeat(60),
];

/** Ways in which a request gives the length of its body; mostly the true one. */
const LENGTHS: readonly ((bytes: number) => string)[] = [
  (bytes) => `Content-Length: ${bytes}`,
  (bytes) => `Content-Length: ${bytes}`,
  (bytes) => `Content-Length: ${bytes}`,
  (bytes) => `Content-Length: ${bytes + 7}`,
  (bytes) => `Content-Length: ${Math.max(0, bytes - 7)}`,
  () => "Transfer-Encoding: chunked",
  () => "X-No: length",
];

const body = fc.constantFrom(...Object.values(BODIES)).chain((sound) => spoiled(twisted(sound)));
const parts = fc.record({
  method: fc.constantFrom(...METHODS, "GET", "POST", "POST", "POST"),
  path: fc.constantFrom(...PATHS),
  twist: fc.oneof(
    fc.constant((path: string) => path),
    fc.constantFrom(...TWISTS),
  ),
  version: fc.oneof(
    { weight: 9, arbitrary: fc.constant("HTTP/1.1") },
    fc.constantFrom("HTTP/1.0", "HTTP/9.9", ""),
  ),
  host: fc.oneof({ weight: 9, arbitrary: fc.constant(["Host: 127.0.0.1"]) }, fc.constant([])),
  headers: fc.array(fc.constantFrom(...HEADERS), { maxLength: 4 }),
  length: fc.constantFrom(...LENGTHS),
  lineEnd: fc.oneof({ weight: 19, arbitrary: fc.constant("\r\n") }, fc.constant("\n")),
  body: fc.oneof(body, fc.constant(Buffer.alloc(0))),
});

/** One to three requests one behind the other, cut into packets anywhere. */
export const talk: fc.Arbitrary<readonly Buffer[]> = fc
  .tuple(fc.array(parts, { minLength: 1, maxLength: 3 }), fc.array(fc.nat(), { maxLength: 4 }))
  .map(([requests, cuts]) => {
    const bytes = Buffer.concat(
      requests.map((request) => {
        const { method, path, twist, version, host, headers, length, lineEnd } = request;
        const lines = [
          `${method} ${twist(path)} ${version}`,
          ...host,
          ...headers,
          length(request.body.length),
        ];
        return Buffer.concat([Buffer.from([...lines, "", ""].join(lineEnd), "latin1"), request.body]);
      }),
    );
    const places = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b);
    return [...places, bytes.length].map((end, index) => bytes.subarray(places[index - 1] ?? 0, end));
  });
