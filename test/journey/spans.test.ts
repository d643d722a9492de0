import assert from "node:assert/strict";
import { after } from "node:test";
import { startCollector } from "../telemetry/collector.ts";
import type { CollectedSpan, Collector } from "../telemetry/collector.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";

const CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SECRET = "nobody may read this prompt";

const collector: Collector = await startCollector();
after(() => collector.stop());

/** @param path path of an endpoint; resolves when the reply is whole */
async function ask({ gateway }: Fleet, path: string, model: string): Promise<number> {
  const messages = [{ role: "user", content: SECRET }];
  const response = await fetch(gateway.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", traceparent: CLIENTS, "x-request-id": "mine" },
    body: JSON.stringify({ model, messages, stream: true }),
  });
  await response.text();
  return response.status;
}

function spanOf(name: string): CollectedSpan {
  const span = collector.spans.find((one) => one.name === name);
  return span ?? assert.fail(`no span ${name} among ${collector.spans.map((one) => one.name).join(", ")}`);
}

journey(
  "a request leaves spans at gateway and worker, in its client's trace, and its backend gets the trace",
  { env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } },
  async (fleet) => {
    assert.equal(await ask(fleet, "/v1/chat/completions", MODEL), 200);
    const { worker, standIn } = fleet.post();
    worker.signal("SIGTERM");
    assert.equal(await worker.exited, 0);
    fleet.gateway.signal("SIGTERM");
    assert.equal(await fleet.gateway.exited, 0);
    const request = spanOf("POST /v1/chat/completions");
    const queue = spanOf(`queue ${MODEL}`);
    const attempt = spanOf(`process ${MODEL}`);
    const call = spanOf(`chat ${MODEL}:latest`);
    assert.equal(collector.spans.length, 4);
    for (const span of collector.spans) assert.equal(span.traceId, CLIENTS.slice(3, 35));
    assert.equal(request.parentSpanId, CLIENTS.slice(36, 52));
    assert.deepEqual([queue.parentSpanId, attempt.parentSpanId], [request.spanId, request.spanId]);
    assert.equal(call.parentSpanId, attempt.spanId);
    assert.deepEqual([request.kind, queue.kind, attempt.kind, call.kind], [2, 1, 5, 3]);
    assert.deepEqual([request.service, attempt.service], ["sgnet-gateway", "sgnet-worker"]);
    const sent = standIn.requests[0]?.headers["traceparent"];
    assert.equal(sent, `00-${call.traceId}-${call.spanId}-01`);
    assert.equal(request.attributes["http.response.status_code"], 200);
    assert.equal(request.attributes["sgnet.request"], "mine");
    assert.equal(call.attributes["gen_ai.operation.name"], "chat");
    assert.equal(call.attributes["gen_ai.provider.name"], "ollama");
    assert.equal(call.attributes["gen_ai.request.model"], `${MODEL}:latest`);
    assert.equal(call.attributes["server.port"], Number(new URL(standIn.url).port));
    assert.ok(Number(call.attributes["gen_ai.usage.output_tokens"]) > 0);
    assert.equal(
      request.attributes["gen_ai.usage.output_tokens"],
      call.attributes["gen_ai.usage.output_tokens"],
    );
    assert.ok(!JSON.stringify(collector.spans).includes(SECRET));
  },
);

journey("without a collector the client's trace still reaches the backend", {}, async (fleet) => {
  assert.equal(await ask(fleet, "/api/chat", MODEL), 200);
  assert.equal(await ask(fleet, "/v1/chat/completions", MODEL), 200);
  const { requests } = fleet.post().standIn;
  assert.deepEqual(
    requests.map(({ headers }) => headers["traceparent"]),
    [CLIENTS, CLIENTS],
  );
});
