import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { serve } from "../gateway/http-rig.ts";
import { journey } from "../rig/fleet/fleet.ts";
import { HostileBackend } from "../rig/backends/hostile-backend.ts";
import { BODIES } from "./bodies.ts";
import { effort, LIMIT_MS } from "./effort.ts";
import { talk } from "./heads.ts";
import { say } from "./raw.ts";
import { whileHarmed } from "./watch.ts";

/** Connections at once in one run of the property. */
const TOGETHER = 12;

/** The native parser's word for HTTP it does not speak. */
const NOT_SPOKEN = 505;
/** This fleet has no backend for the rest of the surface. */
const LACKING = 501;

journey("bytes of every kind on a gateway's socket", { limitMs: LIMIT_MS }, async (fleet, t) => {
  const port = Number(new URL(fleet.gateway.url).port);
  const look = fc.asyncProperty(
    fc.array(talk, { minLength: TOGETHER, maxLength: TOGETHER }),
    async (talks) => {
      const heard = await Promise.all(
        talks.map(async (pieces) => ({
          pieces,
          ...(await say({ port, pieces, replies: 3, silenceMs: 400 })),
        })),
      );
      for (const { pieces, replies, nonsense } of heard) {
        const about = JSON.stringify(Buffer.concat(pieces).toString("latin1").slice(0, 1500));
        assert.equal(nonsense, undefined, about);
        for (const { status, body, headers } of replies) {
          assert.ok(
            status < 500 || status === NOT_SPOKEN || status === LACKING,
            `${status} ${body} to ${about}`,
          );
          assert.ok(!headers.has("x-evil"), about);
        }
      }
    },
  );
  const harm = async (): Promise<void> => fc.assert(look, effort(t, 25));
  const programs = [fleet.gateway, fleet.post().worker];
  t.diagnostic(await whileHarmed(fleet.gateway, { programs, mostMiB: 150, harm }));
});

journey("addresses within a request are not gone to", {}, async (fleet, t) => {
  const elsewhere = await HostileBackend.start();
  t.after(() => elsewhere.stop());
  const { url } = elsewhere;
  const strings = [
    "model",
    "from",
    "source",
    "content",
    "text",
    "prompt",
    "url",
    "images",
    "data",
    "name",
    "input",
  ];
  const withUrl = (value: unknown, name: string): unknown => {
    if (Array.isArray(value)) return value.map((one) => withUrl(one, name));
    if (typeof value === "string") return value;
    if (typeof value !== "object" || value === null) return value;
    const members = Object.entries(value).map(([own, one]): [string, unknown] => {
      return [own, own === name && typeof one === "string" ? `${url}/${name}` : withUrl(one, name)];
    });
    return Object.fromEntries(members);
  };
  const images = [
    { path: "/v1/messages", content: [{ type: "image", source: { type: "url", url: `${url}/a.png` } }] },
    { path: "/v1/messages", content: [{ type: "document", source: { type: "url", url: `${url}/a.pdf` } }] },
    { path: "/v1/chat/completions", content: [{ type: "image_url", image_url: { url: `${url}/a.png` } }] },
    { path: "/v1/chat/completions", content: [{ type: "image_url", image_url: `${url}/a.png` }] },
    { path: "/v1/chat/completions", content: [{ type: "file", file: { file_data: `${url}/a.pdf` } }] },
  ].map(({ path, content }) => ({
    path,
    body: { model: "tiny", max_tokens: 3, messages: [{ role: "user", content }] } as unknown,
  }));
  const input = [{ role: "user", content: [{ type: "input_image", image_url: `${url}/a.png` }] }];
  const asked = [
    ...images,
    { path: "/v1/responses", body: { model: "tiny", input } },
    {
      path: "/api/chat",
      body: { model: "tiny", stream: false, messages: [{ role: "user", content: "", images: [url] }] },
    },
    { path: "/api/generate", body: { model: "tiny", stream: false, prompt: "", images: [url] } },
    ...Object.entries(BODIES).flatMap(([path, body]) =>
      strings.map((name) => ({ path, body: withUrl(body, name) })),
    ),
  ];
  const headers = {
    "x-forwarded-host": url,
    referer: url,
    "x-callback-url": url,
    forwarded: `for=${url};host=${url}`,
    "openai-organization": url,
    traceparent: url,
  };
  for (const { path, body } of asked) {
    const response = await fetch(fleet.gateway.url + path, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    const isFine = response.status < 500 || response.status === LACKING;
    assert.ok(isFine, `${path} ${response.status} ${await response.text()}`);
    if (!response.bodyUsed) await response.arrayBuffer();
  }
  assert.equal(elsewhere.connections, 0);
});

/** Wait for the native server to cut a slow head or body, ms. It gives each 30 s, measured in coarse steps. */
const CUT_MS = 120_000;

describe("clients that dawdle", { concurrency: true }, () => {
  const dawdlers: Readonly<Record<string, readonly [begin: string, again: string]>> = {
    "say nothing": ["", ""],
    "send a head, a byte now and then": ["POST /api/chat HTTP/1.1\r\nHost: x\r\nX: ", "y"],
    "send a header now and then": ["POST /api/chat HTTP/1.1\r\nHost: x\r\n", "X: y\r\n"],
    "send a body, a byte now and then": [
      "POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
      "x",
    ],
    "send chunks now and then": [
      "POST /api/chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
      "1\r\nx\r\n",
    ],
    "send empty lines": ["", "\r\n"],
  };
  for (const [about, [begin, again]] of Object.entries(dawdlers)) {
    test(`who ${about} are hung up on`, async (t) => {
      const { port } = await serve(t);
      const startedAt = performance.now();
      const socket = connect({ port, host: "127.0.0.1" }).on("error", () => {});
      const drip = setInterval(() => socket.write(again), 500);
      t.after(() => {
        clearInterval(drip);
        socket.destroy();
      });
      socket.write(begin);
      socket.resume();
      await once(socket, "close", { signal: AbortSignal.timeout(CUT_MS) });
      t.diagnostic(`after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    });
  }
});
