import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Fault } from "../../src/core/fault.ts";
import { needsAbility } from "../../src/core/ability.ts";
import type { Usage } from "../../src/core/usage.ts";
import { serverCodec, TASK_ROUTES } from "../../src/protocols/dialects.ts";
import { relayPath, surfaceOf, requestedPath } from "../../src/protocols/openai/surface.ts";
import type { SurfaceEndpoint } from "../../src/protocols/openai/surface.ts";
import { surfaceUsage } from "../../src/protocols/openai/reply-metrics.ts";
import { SurfaceRelay } from "../../src/protocols/openai/surface-relay.ts";
import { surfacePassthrough, withBodyModel } from "../../src/protocols/openai/surface-passthrough.ts";
import { splitAt } from "../rig/split.ts";

function row(endpoint: string): SurfaceEndpoint {
  const found = surfaceOf(endpoint);
  assert.ok(found !== undefined);
  return found;
}

const cuts = fc.array(fc.nat(10_000), { maxLength: 8 });

interface Relayed {
  readonly bytes: Buffer;
  readonly relay: SurfaceRelay;
}

function relayed(
  endpoint: string,
  reply: {
    readonly type: string;
    readonly bytes: Buffer | string;
    readonly stream?: boolean;
    readonly at?: number[];
  },
): Relayed {
  const { events, binary = false, text } = row(endpoint);
  const relay = new SurfaceRelay({ asked: "mine", stream: reply.stream ?? false, events, binary, text });
  relay.head(reply.type);
  const pieces = splitAt(Buffer.from(reply.bytes), reply.at ?? []).map((piece) => relay.push(piece));
  return { bytes: Buffer.concat([...pieces, relay.end()]), relay };
}

function written(list: readonly (readonly [string, string])[]): string[] {
  return list.filter(([name]) => name !== "model").map(([name, text]) => `${JSON.stringify(name)} : ${text}`);
}

function put(body: string): string {
  return withBodyModel(Buffer.from(body), 'a"b').toString();
}

function is(promptTokens: number, completionTokens: number): Usage {
  return { promptTokens, completionTokens };
}

describe("requests of the surface", () => {
  it("go through byte for byte, but for the model", () => {
    const member = fc.tuple(fc.string({ unit: "binary", maxLength: 5 }), fc.json());
    fc.assert(
      fc.property(
        fc.array(member),
        fc.array(member),
        fc.string(),
        fc.string(),
        (before, after, asked, model) => {
          const body = (name: string): string =>
            `{${[...written(before), `"model":\t${JSON.stringify(name)}`, ...written(after)].join(" ,")}}`;
          assert.equal(withBodyModel(Buffer.from(body(asked)), model).toString(), body(model));
        },
      ),
    );
  });

  it("without a model get the name of the one that was chosen, and keep all else", () => {
    assert.equal(put(' {"content":"x"}\n'), ' {"model":"a\\"b","content":"x"}\n');
    assert.equal(put("{ }"), '{"model":"a\\"b" }');
    assert.equal(put('{"a":{"model":"c"}}'), '{"model":"a\\"b","a":{"model":"c"}}');
  });

  it("go to the client's own path, else to one of the same shape, else to any", () => {
    const rerank = row("openai-rerank");
    const at = (asked: string | undefined, ...has: string[]): string | undefined =>
      relayPath(rerank, new Set(has), asked);
    assert.equal(at("/v2/rerank", "/rerank", "/v2/rerank"), "/v2/rerank");
    assert.equal(at("/reranking", "/v2/rerank", "/rerank"), "/rerank");
    assert.equal(at("/v2/rerank", "/rerank"), "/rerank");
    assert.equal(at(undefined, "/v1/rerank", "/rerank"), "/v1/rerank");
    assert.equal(at("/made/up", "/rerank"), "/rerank");
    assert.equal(at("/rerank"), undefined);
    const way = surfacePassthrough(rerank, new Set(["/rerank"]));
    const body = Buffer.from('{"model":"mine"}');
    const options = { body, stream: false, asked: "mine", model: "its", path: "/v2/rerank" };
    assert.equal(way.request(options).path, "/rerank");
    assert.throws(() => surfacePassthrough(rerank, new Set()).request(options), { code: "not_implemented" });
  });

  it("tell their path only where it is not the first one, and never one that is not theirs", () => {
    assert.equal(requestedPath("openai-rerank", "/v1/rerank"), undefined);
    assert.equal(requestedPath("openai-rerank", "/v2/rerank/"), "/v2/rerank");
    assert.equal(requestedPath("openai-rerank", "/v1/score"), undefined);
    assert.equal(requestedPath("openai-chat", "/x"), undefined);
  });

  it("have a server codec each, and a model of another type than text is refused", () => {
    for (const { endpoint } of TASK_ROUTES.filter((route) => needsAbility(route.endpoint))) {
      const codec = serverCodec(endpoint);
      assert.equal(codec.validate({}).model, "");
      assert.equal(codec.validate({ model: "a" }).model, "a");
      assert.throws(() => codec.validate({ model: 1 }), { code: "invalid_request" });
      assert.throws(() => codec.decode({}), { code: "not_implemented" });
    }
    assert.equal(serverCodec("openai-infill").validate({ stream: true }).stream, true);
    assert.throws(() => serverCodec("openai-infill").validate({ stream: "yes" }), {
      code: "invalid_request",
    });
  });
});

describe("answers of the surface, in pieces cut anywhere", () => {
  const ranked =
    '{"model" : "its","usage":{"total_tokens":9},"results":[{"index":0,"relevance_score":0.50}]}';

  it("come as they are when they are JSON, with the model as it was asked for", () => {
    fc.assert(
      fc.property(cuts, (at) => {
        const { bytes, relay } = relayed("openai-rerank", { type: "application/json", bytes: ranked, at });
        assert.equal(bytes.toString(), ranked.replace('"its"', '"mine"'));
        assert.deepEqual(relay.usage, { promptTokens: 9, completionTokens: 0 });
      }),
    );
  });

  it("keep what they say of other models", () => {
    const bytes = '{"results":[{"document":{"model":"theirs"}}],"model":"its","n":null}';
    const told = relayed("openai-rerank", { type: "application/json", bytes });
    assert.equal(told.bytes.toString(), bytes.replace('"its"', '"mine"'));
    const none = '{"results":[{"document":{"model":"theirs"}}],"model":null}';
    assert.equal(relayed("openai-rerank", { type: "application/json", bytes: none }).bytes.toString(), none);
  });

  it("may be lists, and JSON that broke off is none", () => {
    const list = '[{"index":0,"score":0.1}]';
    assert.equal(relayed("openai-rerank", { type: "application/json", bytes: list }).bytes.toString(), list);
    for (const bytes of [ranked.slice(0, -5), "", "oops"]) {
      assert.throws(() => relayed("openai-rerank", { type: "application/json", bytes }), {
        code: "backend_lost",
      });
    }
  });

  it("of a server that names no type are told by their first bytes", () => {
    assert.equal(
      relayed("openai-tokenize", { type: "", bytes: '{"tokens":[1]}' }).bytes.toString(),
      '{"tokens":[1]}',
    );
  });

  it("keep the words and the status of an error under 200", () => {
    const bytes = '{"error":{"message":"The model does not support Rerank","code":400}}';
    for (const type of ["application/json", "text/plain", ""]) {
      assert.throws(
        () => relayed("openai-speech", { type: type === "" ? "application/json" : type, bytes }),
        (error) => error instanceof Fault && error.http === 400 && /does not support/.test(error.message),
      );
    }
  });

  it("are none when they are a page, or words in the place of JSON or sound", () => {
    const page = "<html><body>log in first</body></html>";
    for (const endpoint of ["openai-rerank", "openai-images", "openai-speech", "openai-transcriptions"]) {
      for (const type of ["text/html; charset=utf-8", "application/xhtml+xml"]) {
        const told = { type, bytes: page, stream: endpoint === "openai-speech" };
        assert.throws(() => relayed(endpoint, told), { code: "backend_lost", message: /log in first/ });
      }
    }
    for (const endpoint of ["openai-rerank", "openai-images", "openai-speech"]) {
      const told = { type: "text/plain", bytes: "out of order" };
      assert.throws(() => relayed(endpoint, told), { code: "backend_lost", message: /out of order/ });
    }
    const png = { type: "image/png", bytes: "not really" };
    assert.equal(relayed("openai-images", png).bytes.toString(), "not really");
  });

  it("are none when they only say what is wrong, and stay where words stand beside them", () => {
    for (const endpoint of ["openai-rerank", "openai-tokenize", "openai-transcriptions"]) {
      const type = "application/json";
      const busy = { type, bytes: '{"code":429,"message":"slow down"}' };
      assert.throws(() => relayed(endpoint, busy), { http: 429, message: "slow down" });
      assert.throws(() => relayed(endpoint, { type, bytes: '{"detail":"no such model"}' }), {
        message: "no such model",
      });
      for (const bytes of [
        '{"results":[{"index":0}],"message":"ok"}',
        '{"tokens":[1],"error":0,"detail":"x"}',
        '{"text":"","error":{"code":null}}',
      ]) {
        assert.equal(relayed(endpoint, { type, bytes }).bytes.toString(), bytes);
      }
    }
  });

  it("behind a byte order mark are read", () => {
    for (const endpoint of ["openai-rerank", "openai-transcriptions"]) {
      const told = { type: "application/json", bytes: '\uFEFF{"text":"a"}', at: [1, 2] };
      assert.equal(relayed(endpoint, told).bytes.toString(), '{"text":"a"}');
    }
  });

  it("are any bytes where they are sound", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), cuts, (data, at) => {
        const { bytes } = relayed("openai-speech", {
          type: "audio/wav",
          bytes: Buffer.from(data),
          stream: true,
          at,
        });
        assert.deepEqual(bytes, Buffer.from(data));
      }),
    );
  });

  const speech = [
    'event: speech.audio.delta\ndata: {"type":"speech.audio.delta","audio":"AAAA"}\n\n',
    ": keep-alive\n\n",
    'data: {"type":"speech.audio.done","usage":{"input_tokens":3,"output_tokens":8,"total_tokens":11}}\n\n',
  ];

  it("are whole events where they are events, with their counts", () => {
    fc.assert(
      fc.property(cuts, fc.constantFrom("\n", "\r\n"), (at, end) => {
        const text = speech.join("").replaceAll("\n", end);
        const { events, binary = false } = row("openai-speech");
        const relay = new SurfaceRelay({ asked: "mine", stream: true, events, binary });
        relay.head("text/event-stream; charset=utf-8");
        let sent = "";
        for (const piece of splitAt(Buffer.from(text), at)) {
          const bytes = relay.push(piece).toString();
          sent += bytes;
          assert.ok(bytes === "" || /[\r\n]$/.test(bytes), JSON.stringify(bytes));
        }
        sent += relay.end().toString();
        assert.equal(sent, text);
        assert.deepEqual(relay.usage, { promptTokens: 3, completionTokens: 8 });
      }),
    );
  });

  it("that end before their last event are no whole answers", () => {
    const cut = { type: "text/event-stream", bytes: speech[0] ?? "", stream: true };
    assert.throws(() => relayed("openai-speech", cut), { code: "backend_lost" });
    const infill = 'data: {"content":"a","stop":false}\n\n';
    assert.throws(() => relayed("openai-infill", { ...cut, bytes: infill }), { code: "backend_lost" });
    const image = 'data: {"type":"image_generation.partial_image","b64_json":"AA"}\n\n';
    assert.throws(() => relayed("openai-images", { ...cut, bytes: image }), { code: "backend_lost" });
    // Without its last blank line it is all there, as are answers of a server with events of its own.
    const end = 'data: {"content":"","stop":true,"tokens_predicted":2,"tokens_evaluated":5}';
    const { bytes, relay } = relayed("openai-infill", { ...cut, bytes: infill + end });
    assert.equal(bytes.toString(), `${infill}${end}\n\n`);
    assert.deepEqual(relay.usage, { promptTokens: 5, completionTokens: 2 });
    const other = 'data: {"chunk":"AAAA"}\n\n';
    assert.equal(relayed("openai-speech", { ...cut, bytes: other }).bytes.toString(), other);
  });

  it("that say an error among their events fail with its words", () => {
    const bytes = `${speech[0] ?? ""}data: {"error":{"message":"out of voice","code":503}}\n\n`;
    assert.throws(
      () => relayed("openai-speech", { type: "text/event-stream", bytes, stream: true }),
      (error) =>
        error instanceof Fault && error.code === "backend_busy" && /out of voice/.test(error.message),
    );
  });

  it("in one piece become the one event of a stream where that has the same form", () => {
    const whole = '{"content":"x","stop":true}';
    const told = { type: "application/json", bytes: whole, stream: true };
    const { bytes, relay } = relayed("openai-infill", told);
    assert.equal(bytes.toString(), `data: ${whole}\n\n`);
    assert.equal(relay.contentType, "text/event-stream");
    const image = relayed("openai-images", { ...told, bytes: '{"data":[]}' });
    assert.equal(image.bytes.toString(), '{"data":[]}');
    assert.equal(image.relay.contentType, undefined);
  });

  it("tell their counts in the forms that servers have", () => {
    assert.deepEqual(surfaceUsage({ usage: { prompt_tokens: 3, total_tokens: 3 } }), is(3, 0));
    assert.deepEqual(surfaceUsage({ usage: { total_tokens: 4 } }), is(4, 0));
    assert.deepEqual(surfaceUsage({ usage: { input_tokens: 5, output_tokens: 6 } }), is(5, 6));
    assert.deepEqual(surfaceUsage({ meta: { tokens: { input_tokens: 7 } } }), is(7, 0));
    assert.equal(surfaceUsage({ usage: { total_tokens: "x" }, meta: [] }), undefined);
    assert.equal(surfaceUsage({}), undefined);
  });
});
