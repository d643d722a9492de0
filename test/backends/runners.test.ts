import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Runners } from "../../src/backends/runners.ts";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { readNumCtxPolicy } from "../../src/core/num-ctx.ts";

function runners(numCtx = "grow"): Runners {
  return new Runners({ numCtx: readNumCtxPolicy(numCtx), keepAliveMinMs: 300_000 });
}

function card(tokens?: number, contextLength = 0): ModelCard {
  const load = { size: 1, sizeVram: 1, expiresAt: undefined, contextLength: tokens ?? 0 };
  return { ...BLANK_CARD, key: "m", name: "m", contextLength, ...(tokens === undefined ? {} : { load }) };
}

function sent(known: Runners, body: object): unknown {
  const request = known.fit("m", { path: "/api/chat", body: JSON.stringify(body) }, false);
  return (JSON.parse(request.body.toString()) as { options?: { num_ctx?: number } }).options?.num_ctx;
}

const wants = (size: number): object => ({ options: { num_ctx: size } });

describe("the runners of an Ollama server", () => {
  it("keep the body of a request that tells nothing about them, byte for byte", () => {
    const body = Buffer.from('{"options": {"temperature": 1}}');
    const request = { path: "/api/chat", body };
    assert.equal(runners().fit("m", request, false), request);
  });

  it("are remembered from request to request, and forgotten when the server has them no more", () => {
    const known = runners();
    assert.equal(sent(known, wants(5000)), 8192);
    assert.equal(sent(known, {}), 8192);
    known.update([card()], known.changes);
    assert.equal(sent(known, {}), undefined);
  });

  it("stay while a request is under way, and when a look began before one ended", () => {
    const known = runners();
    sent(known, wants(8192));
    known.requestStarted("m");
    known.update([card()], known.changes);
    assert.equal(sent(known, {}), 8192, "it is loading");
    const since = known.changes;
    known.requestEnded("m");
    known.update([card()], since);
    assert.equal(sent(known, {}), 8192, "the look is old");
    known.update([card()], known.changes);
    assert.equal(sent(known, {}), undefined);
  });

  it("are not started anew for what their model was not made for: the server gives them no more", () => {
    const known = runners();
    known.update([card(undefined, 6000)], known.changes);
    assert.deepEqual(
      [5000, 7000, 7001, 200_000].map((size) => sent(known, wants(size))),
      [6000, 6000, 6000, 6000],
    );
  });

  it("change nothing else in a body: numbers of 64 bits stay as they came", () => {
    const body =
      '{"messages":[{"tool_calls":[{"function":{"arguments":{"id":9007199254740993}}}]}],' +
      '"options":{"seed":9007199254740995,"num_ctx":5000},"keep_alive":1e-20}';
    const { body: told } = runners().fit("m", { path: "/api/chat", body }, false);
    assert.equal(
      told.toString(),
      '{"messages":[{"tool_calls":[{"function":{"arguments":{"id":9007199254740993}}}]}],' +
        '"options":{"seed":9007199254740995,"num_ctx":8192},"keep_alive":300}',
    );
  });

  it("that others have started are known by what the server tells", () => {
    const known = runners();
    known.update([card(16_384)], known.changes);
    assert.equal(sent(known, {}), 16_384);
    assert.equal(sent(known, wants(4096)), 16_384);
    assert.equal(sent(known, wants(20_000)), 32_768);
  });

  it("whose context is the server's own choice are asked for by its number, once that is known", () => {
    const known = runners();
    assert.equal(sent(known, {}), undefined);
    known.update([card(32_768)], known.changes);
    assert.equal(sent(known, {}), undefined);
    assert.equal(sent(known, wants(4096)), 32_768);
    assert.equal(sent(known, {}), undefined, "it is still the same runner");
  });

  it("are not asked for more than their model was made for", () => {
    const known = runners();
    known.update([card(undefined, 2048)], known.changes);
    assert.equal(sent(known, wants(2000)), 2048);
  });

  it("are started with what is pinned, whatever a request says", () => {
    assert.equal(sent(runners("pin:6000"), {}), 6000);
  });
});
