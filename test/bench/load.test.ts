import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { caseNamed, loadSpec } from "../../bench/cases.ts";
import type { LoadReport, LoadSpec } from "../../bench/load-spec.ts";
import { buildReply } from "../../bench/replies.ts";
import { simServer } from "../../bench/sim-server.ts";

const LOAD = fileURLToPath(new URL("../../bench/load.ts", import.meta.url));
/** Long enough that a loaded machine does something in it. */
const WINDOW_MS = 4000;
const SHORT = { clients: 4, rampMs: 0, warmMs: 50, windowMs: WINDOW_MS };

/** Runs the load process against a server, which is closed afterwards. */
async function load(server: net.Server, spec: Omit<LoadSpec, "port" | "pids">): Promise<LoadReport> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    const whole: LoadSpec = { ...spec, port, pids: { server: process.pid } };
    const { stdout } = await promisify(execFile)(process.execPath, [LOAD, JSON.stringify(whole)]);
    return JSON.parse(stdout) as LoadReport;
  } finally {
    server.close();
  }
}

function burstSpec(): Omit<LoadSpec, "port" | "pids"> {
  const burst = caseNamed("burst-64");
  assert.ok(burst !== undefined);
  return { ...loadSpec(burst, "ollama", SHORT.windowMs), ...SHORT };
}

/** A server whose every answer is the burst reply, spoiled. */
function spoiled(spoil: (reply: string) => string): net.Server {
  const { whole } = buildReply({
    endpoint: "/api/chat",
    model: "sim-burst",
    tokens: 200,
    stream: true,
    usage: false,
  });
  return net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", () => socket.write(spoil(whole.toString())));
  });
}

test("every case runs clean against the simulated backend, in both dialects", async () => {
  const dialects = ["ollama", "openai"] as const;
  const cases = ["m1-8", "m1-64", "burst-8", "m2-8", "m3-1", "m3-8"].flatMap((name) => caseNamed(name) ?? []);
  const runs = dialects.flatMap((dialect) => cases.map((benchCase) => ({ dialect, benchCase })));
  assert.equal(runs.length, 12);
  await Promise.all(
    runs.map(async ({ dialect, benchCase }) => {
      const spec = { ...loadSpec(benchCase, dialect, WINDOW_MS), rampMs: 0, warmMs: 100 };
      const report = await load(simServer(), spec);
      assert.deepEqual(report.errors, {}, `${dialect} ${benchCase.name}`);
      assert.ok(report.tokens > 0, `${dialect} ${benchCase.name}`);
      assert.ok((report.expenses["server"]?.rssMb ?? 0) > 1);
    }),
  );
});

test("a lost, a doubled and a swapped token make a failed reply", async () => {
  const spoils = [
    (reply: string): string => reply.replace("~17 ", "~18 "),
    (reply: string): string => reply.replace("~17 ", "17  "),
    (reply: string): string => reply.replace("~17 ", "~@ ").replace("~18 ", "~17 ").replace("~@ ", "~18 "),
  ];
  const reports = await Promise.all(spoils.map(async (spoil) => load(spoiled(spoil), burstSpec())));
  for (const report of reports) {
    assert.ok((report.errors.tokens ?? 0) > 0, JSON.stringify(report.errors));
    assert.equal(report.requests, 0);
  }
});

test("a reply that ends before its end mark counts as truncated, an error status as status", async () => {
  const cut = await load(
    spoiled((reply) => reply.replace('"done":true', '"done":null')),
    burstSpec(),
  );
  assert.ok((cut.errors.truncated ?? 0) > 0, JSON.stringify(cut.errors));
  const refused = await load(
    spoiled((reply) => reply.replace("200 OK", "503 No")),
    burstSpec(),
  );
  assert.ok((refused.errors.status ?? 0) > 0, JSON.stringify(refused.errors));
});

test("a reply that never ends counts as unfinished, a connection that breaks in a reply as truncated", async () => {
  const hanging = await load(
    spoiled((reply) => reply.slice(0, 2000)),
    { ...burstSpec(), drainMs: 50 },
  );
  assert.deepEqual(hanging.errors, { unfinished: SHORT.clients });
  const breaking = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"));
  });
  const broken = await load(breaking, burstSpec());
  assert.ok((broken.errors.truncated ?? 0) > 0, JSON.stringify(broken.errors));
});
