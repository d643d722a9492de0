import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buildGuard } from "../../src/gateway/http/guard.ts";
import type { HttpRequest, RequestHeaders } from "../../src/gateway/http/http.ts";
import { asksForPage } from "../../src/gateway/live-page.ts";
import { readHead } from "../../src/gateway/http/request.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { OriginPolicy } from "../../src/gateway/http/origin-policy.ts";
import { plainIdHeaders } from "../../src/gateway/http/reply-headers.ts";
import { buildFallback, buildRoutes } from "../../src/gateway/routes.ts";
import type { RoutesHost } from "../../src/gateway/routes.ts";
import { TimeoutPolicy } from "../../src/core/timeout-policy.ts";
import { refusalLog } from "../../src/gateway/http/refusal-log.ts";
import type { NativeRequest } from "../../src/gateway/http/uws.ts";
import { showBodyFor } from "../../src/protocols/ollama/management.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { FakeReply } from "../gateway/fake-reply.ts";
import { intakeOf } from "../gateway/intake-rig.ts";
import { assertLinear } from "./growth.ts";

/**
 * The cost of a request's head grows no faster than the head: each header that is read, the path, the query, and the
 * number of headers. A header that is read from now on is in by itself.
 */

/** As large as a head may be by default. */
const BYTES = 64 * 1024;

function headOf(told: readonly (readonly [name: string, value: string])[]): ReturnType<typeof readHead> {
  const each = (take: (name: string, value: string) => void): void => {
    for (const [name, value] of told) take(name, value);
  };
  return readHead({ forEach: each } as unknown as NativeRequest);
}

const NO_HEADERS = headOf([]).headers;
const NAMES = Object.keys(NO_HEADERS) as (keyof RequestHeaders)[];

const log = openLog({ level: "info", format: "json", write: () => {} });
const keyring = new Keyring({ apiKeys: "one,two", adminKeys: "boss" });
const onRefused = refusalLog({ log, metrics: { rejected: () => {} } });
const origins = new OriginPolicy({
  origins: "https://*.example.*,app://*-*-*-*",
  listen: "127.0.0.1",
  own: ["me"],
});
const guard = buildGuard({ origins, keyring, isPublic: asksForPage, onRefused });
const policy = new TimeoutPolicy({
  queueTimeoutMs: 0,
  connectTimeoutMs: 10,
  firstTokenTimeoutMs: 20,
  idleTimeoutMs: 30,
  taskTimeoutMs: 5000,
  modelTimeouts: "",
});
const intake = intakeOf({
  timeouts: policy,
  isAdmin: () => false,
  onRejected: ({ fault }) => assert.notEqual(fault.code, "internal", fault.stack),
});
const routes = buildRoutes({
  catalogue: { find: () => undefined, models: [] },
  version: "1",
  build: "",
  management: [],
  takeTask: () => {},
  ui: { page: () => {}, routes: [] },
  keyring,
} as unknown as RoutesHost);
const { fallback, fallbackReads } = buildFallback(routes);

function requestOf(headers: Partial<RequestHeaders>, more: Partial<HttpRequest> = {}): HttpRequest {
  const body = Buffer.from('{"model":"tiny","prompt":"x"}');
  const all = { ...NO_HEADERS, ...headers };
  return { method: "POST", path: "/api/generate", query: "", headers: all, body, remote: "", ...more };
}

/** Runs all checks of a head, one after the other, even when an earlier one refuses it. */
function receive(request: HttpRequest): void {
  guard(request, new FakeReply());
  keyring.isAdmin(request.headers);
  plainIdHeaders(request);
  showBodyFor(request.headers.userAgent, "m", Buffer.from("{}"));
  fallbackReads(request);
  fallback(request, new FakeReply());
  intake.take("ollama-generate", request, new FakeReply());
}

const STARTS = ["", "Bearer ", "bearer", "https://", "http://a.example.", "00-", "idle=1", "[", "text/html"];
const UNITS = Array.from(" a1,;=-.*/:[]%\t\u2028é\u0130").concat([
  "a.",
  "1,",
  " ,",
  "idle=1 ,",
  "%2F",
  "../",
  "a=",
  "q=0.1;",
]);
const ENDS = ["", "!", "a\u2028b", ".localhost", "\n"];

function textsOf(bytes: number): (() => string)[] {
  return STARTS.flatMap((start) =>
    UNITS.flatMap((unit) =>
      ENDS.map((end) => () => start + unit.repeat(Math.floor(bytes / Buffer.byteLength(unit))) + end),
    ),
  );
}

/** All texts at once: their sum grows as the worst of them does. */
function check(name: string, bytes: number, work: (text: string) => void): void {
  assertLinear({
    name,
    bytes,
    prepare: (size) => {
      const texts = textsOf(size).map((text) => Buffer.from(text()).toString());
      return () => {
        for (const text of texts) work(text);
      };
    },
  });
}

describe("the work for a head grows no faster than the head", () => {
  for (const name of NAMES) {
    it(`with the header ${name}`, () => {
      check(name, BYTES / 4, (text) => receive(requestOf({ [name]: text })));
    });
  }

  it("with its path", () => {
    for (const start of ["/", "/v1/models/", "/api/blobs/sha256:"]) {
      for (const method of ["GET", "POST"]) {
        const path = (text: string): HttpRequest => requestOf({}, { method, path: start + text });
        check(`${method} ${start}`, BYTES / 16, (text) => receive(path(text)));
      }
    }
  });

  it("with its query and its method", () => {
    check("query", BYTES / 16, (text) => receive(requestOf({}, { query: text })));
    check("method", BYTES / 16, (text) => receive(requestOf({}, { method: text })));
  });

  for (const [what, header] of [
    ["names", (index: number) => [`x-${index}`, "1"] as const],
    ["lengths", () => ["content-length", "1"] as const],
    ["lengths as chunks", () => ["transfer-encoding", "chunked"] as const],
    ["keys", (index: number) => ["authorization", `Bearer ${index}`] as const],
  ] as const) {
    it(`with many headers: ${what}`, () => {
      assertLinear({
        name: what,
        bytes: BYTES,
        prepare: (size) => {
          const told = Array.from({ length: size / 16 }, (_, index) => header(index));
          return () => void headOf(told);
        },
      });
    });
  }

  it("with a length of many digits", () => {
    check("length", BYTES / 4, (text) => void headOf([["content-length", text]]));
  });

  it("is told when it does: the expression that once read the key", () => {
    const key = /^bearer\s+(.*)$/i;
    const old = (): void => {
      check("the old key", BYTES / 8, (text) => void key.exec(text));
    };
    assert.throws(old, /the old key grows faster than its input/);
  });
});
