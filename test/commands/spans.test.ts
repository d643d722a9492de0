import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { startWithSpans } from "../../src/commands/spans.ts";
import type { Service } from "../../src/commands/service.ts";
import { loadSettings } from "../../src/config/load.ts";
import type { Tracing } from "../../src/telemetry/tracing.ts";
import { startCollector } from "../telemetry/collector.ts";
import type { Collector } from "../telemetry/collector.ts";

const note = (): void => undefined;
const log = { error: note, warn: note, info: note, debug: note, with: () => log };

function leave(tracing: Tracing | undefined, name: string): void {
  assert.ok(tracing);
  const at = performance.now();
  tracing.begin({ name, kind: "internal", parent: "", at, attributes: {} }).end({ at });
}

describe("the spans of a service", () => {
  let collector: Collector;
  before(async () => {
    collector = await startCollector();
  });
  beforeEach(() => {
    collector.spans.length = 0;
  });
  after(() => collector.stop());

  const start = async (service: (tracing: Tracing | undefined) => Promise<Service>): Promise<Service> => {
    const settings = { ...loadSettings({ flags: {}, env: {} }), otlpEndpoint: collector.url };
    return startWithSpans({ settings, log, name: "s" }, service);
  };
  const names = (): readonly string[] => collector.spans.map(({ name }) => name);

  it("are sent when it does not start", async () => {
    const starting = start((tracing) => {
      leave(tracing, "start");
      return Promise.reject(new Error("no port"));
    });
    await assert.rejects(starting, /no port/);
    assert.deepEqual(names(), ["start"]);
  });

  it("are sent when it stops, and when it fails to", async () => {
    for (const end of [() => Promise.resolve(), () => Promise.reject(new Error("stuck"))]) {
      collector.spans.length = 0;
      const service = await start((tracing) => {
        leave(tracing, "run");
        return Promise.resolve({ stop: end });
      });
      await service.stop().catch((error: unknown) => assert.match(String(error), /stuck/));
      assert.deepEqual(names(), ["run"]);
    }
  });
});
