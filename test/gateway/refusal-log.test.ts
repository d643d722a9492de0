import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HttpRequest, Route } from "../../src/gateway/http/http.ts";
import { buildRefusals } from "../../src/gateway/routes.ts";
import { refusalLog } from "../../src/gateway/http/refusal-log.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { serve } from "./http-rig.ts";

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

describe("a request whose body is not taken", () => {
  it("is counted, and has a log line with the id that its client was told", async (t) => {
    const lines: string[] = [];
    const counted: string[] = [];
    const log = openLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
    const metrics = {
      rejected: (endpoint: string, code: string) => void counted.push(`${endpoint} ${code}`),
    };
    const { tooLarge } = buildRefusals(10, refusalLog({ log, metrics }));
    const route: Route = { method: "POST", path: "/v1/*", handler: () => assert.fail("read") };
    const server = await serve(t, { routes: [route], tooLarge, maxBodyBytes: 10 });
    const ask = async (headers: Record<string, string>): Promise<string> => {
      const url = `http://127.0.0.1:${server.port}/v1/${"x".repeat(300)}`;
      const reply = await fetch(url, { method: "POST", headers, body: "x".repeat(11) });
      assert.equal(reply.status, 413);
      return reply.headers.get("x-request-id") ?? "";
    };
    const made = await ask({});
    assert.match(made, UUID);
    assert.equal(await ask({ "x-request-id": "mine" }), "mine");
    assert.deepEqual(counted, ["none request_too_large", "none request_too_large"]);
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      told.map(({ request }) => request),
      [made, "mine"],
    );
    const { time: _time, ...line } = told[1] ?? {};
    const path = `/v1/${"x".repeat(196)}`;
    assert.deepEqual(line, {
      level: "info",
      message: "request",
      request: "mine",
      method: "POST",
      path,
      status: 413,
      code: "request_too_large",
      totalMs: 0,
    });
  });
});

function flood(times: number): { lines: string[]; counted: number } {
  const lines: string[] = [];
  let counted = 0;
  const log = openLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
  const onRefused = refusalLog({ log, metrics: { rejected: () => void (counted += 1) } });
  const headers = { requestId: "r" };
  const request = { method: "X".repeat(500), path: "/a", headers } as unknown as HttpRequest;
  for (let time = 0; time < times; time += 1) onRefused("unauthorized", request);
  onRefused("host_forbidden", request);
  return { lines, counted };
}

describe("requests that are turned away in a tight loop", () => {
  it("write no more than some lines a minute, and are told as a number after it", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { lines, counted } = flood(10_000);
    assert.equal(counted, 10_001);
    // One of another kind is not lost among them.
    assert.equal(lines.length, 61);
    assert.ok(lines.every((line) => line.length < 400));
    t.mock.timers.tick(60_000);
    const { kind, left, written } = JSON.parse(lines.at(-1) ?? "") as Record<string, unknown>;
    assert.deepEqual([lines.length, kind, left, written], [62, "unauthorized", 9940, 60]);
  });
});
