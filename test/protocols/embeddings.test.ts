import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { EmbedRequest, NeutralRequest, Part } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { faultEncoder, serverCodec, TASK_ROUTES } from "../../src/protocols/dialects.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { modelNotFound } from "../../src/protocols/ollama/faults.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";
import type { ClientCodec, Relay } from "../../src/protocols/codec.ts";
import {
  decodeVector,
  embeddingParts,
  encodedLength,
  encodeVector,
  shapeVector,
} from "../../src/protocols/vectors.ts";
import { splitAt } from "../rig/split.ts";
import { loadTranscript, type Transcript, transcriptNames } from "../rig/transcript.ts";

const llamacpp = openaiClientCodec(OPENAI_PROFILES.llamacpp);
const recorded = transcriptNames("embeddings").map((name) => loadTranscript("embeddings", name));
const cuts = fc.array(fc.nat(), { maxLength: 8 });

function transcript(start: string): Transcript {
  return loadTranscript("embeddings", start);
}

function endpointOf({ path }: Pick<Transcript, "path">): Endpoint {
  const route = TASK_ROUTES.find((candidate) => candidate.path === path);
  assert.ok(route, path);
  return route.endpoint;
}

function bodyOf({ request }: Transcript): JsonObject {
  return JSON.parse(request) as JsonObject;
}

/** The codec for a backend with the dialect of this recording. */
function faceOf({ headers, path }: Transcript): ClientCodec {
  return headers.get("server") === "llama.cpp" || path.startsWith("/v1/") ? llamacpp : ollamaClientCodec;
}

function decode(endpoint: Endpoint, body: object): NeutralRequest {
  return serverCodec(endpoint).decode(body as JsonObject);
}

function read(codec: ClientCodec, request: NeutralRequest, chunks: readonly Buffer[]): Part[] {
  const reader = codec.reader({ request, stream: false });
  return [...chunks.flatMap((chunk) => [...reader.push(chunk)]), ...reader.end()];
}

function vectorsOf(parts: readonly Part[]): (readonly number[])[] {
  return parts.flatMap((part) => (part.type === "embedding" ? [part.vector] : []));
}

function write(endpoint: Endpoint, body: object, parts: readonly Part[]): JsonObject {
  const writer = serverCodec(endpoint).reply({
    model: "Asked",
    stream: false,
    id: "1",
    now: () => 1010,
    startedAt: 1000,
    body: body as JsonObject,
  });
  return JSON.parse(parts.map((part) => writer.write(part)).join("")) as JsonObject;
}

function faultOf(run: () => unknown): Fault {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Fault, String(error));
    return error;
  }
  throw new Error("nothing was thrown");
}

/** The reader's result for a reply of this size (MiB). */
function faultOfMebibytes(codec: ClientCodec, mebibytes: number): Fault {
  const reader = codec.reader({ request: requestFor(1), stream: false });
  const piece = Buffer.alloc(1024 * 1024, "1");
  return faultOf(() => {
    for (let sent = 0; sent < mebibytes; sent += 1) assert.deepEqual([...reader.push(piece)], []);
    return [...reader.end()];
  });
}

function requestFor(inputs: number): EmbedRequest {
  return { kind: "embed", inputs: Array.from({ length: inputs }, () => "a"), normalise: false };
}

describe("a reply that is too large", () => {
  const tooLarge = /^the reply would be larger than 128 MiB: ask for less at once$/;

  test("is refused as soon as it is, from every kind of backend", () => {
    for (const codec of [llamacpp, ollamaClientCodec]) {
      const fault = faultOfMebibytes(codec, 129);
      assert.equal(fault.code, "invalid_request");
      assert.match(fault.message, tooLarge);
    }
  });

  test("is refused before it is written as text", () => {
    const vector = Array.from({ length: 4097 }, () => 0);
    const vectors = Array.from({ length: 4096 }, () => vector);
    assert.throws(() => embeddingParts(vectors, requestFor(4096)), {
      code: "invalid_request",
      message: tooLarge,
    });
  });
});

function relayOf(endpoint: Endpoint, body: object, asked = "m"): Relay {
  const codec = endpoint.startsWith("openai") ? llamacpp : ollamaClientCodec;
  const way = codec.passthrough(endpoint);
  assert.ok(way);
  return way.relay({ body: Buffer.from(JSON.stringify(body)), stream: false, asked, model: "m" });
}

function relayAll(relay: Relay, chunks: readonly Buffer[]): Buffer {
  return Buffer.concat([...chunks.map((chunk) => relay.push(chunk)), relay.end()]);
}

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  for (const [index, value] of actual.entries()) {
    assert.ok(Math.abs(value - (expected[index] ?? Number.NaN)) < 1e-6, `number ${index}`);
  }
}

function lengthOf(vector: readonly number[]): number {
  return Math.hypot(...vector);
}

const end: Part = { type: "end", reason: "stop", usage: { promptTokens: 2, completionTokens: 0 } };
const embedding = (index: number, vector: readonly number[]): Part => ({ type: "embedding", index, vector });

const messageOf = (error: JsonObject): unknown => {
  return typeof error["error"] === "string" ? error["error"] : (error["error"] as JsonObject)["message"];
};

const sentFor = (body: string, model = "id"): string => {
  const way = llamacpp.passthrough("openai-embeddings");
  assert.ok(way);
  const sent = way.request({ body: Buffer.from(body), stream: false, asked: "m", model });
  assert.equal(sent.path, "/v1/embeddings");
  return sent.body.toString();
};

const reply = (...embeddings: unknown[]): Buffer => {
  const data = embeddings.map((one, index) => ({ object: "embedding", embedding: one, index }));
  return Buffer.from(
    JSON.stringify({ object: "list", data, model: "m", usage: { prompt_tokens: 2, total_tokens: 2 } }),
  );
};

const passedBy = (body: object, bytes: Buffer): unknown[] => {
  const told = JSON.parse(relayAll(relayOf("openai-embeddings", body), [bytes]).toString()) as {
    data: { embedding: unknown; index: number }[];
  };
  assert.deepEqual(
    told.data.map(({ index }) => index),
    told.data.map((_, index) => index),
  );
  return told.data.map(({ embedding: one }) => one);
};

describe("recorded refusals", () => {
  // Without a length and an end these two were cut short in the recording.
  const cutShort = new Set(["313", "314", "085"]);
  for (const { name, path, status, body, request } of recorded) {
    if (status === 200 || cutShort.has(name.slice(0, 3))) continue;
    const endpoint = endpointOf({ path });
    test(`${name}: ${status}, found where Ollama finds it or with its backend`, () => {
      let fault: Fault;
      if (name.startsWith("129")) fault = new Fault("bad_json", "unexpected EOF");
      else if (status === 404 && name.includes("not")) fault = modelNotFound("nope", endpoint);
      else {
        const asked = JSON.parse(request) as JsonObject;
        fault = faultOf(() => {
          serverCodec(endpoint).validate(asked);
          const neutral = decode(endpoint, asked);
          ollamaClientCodec.encode(neutral, { model: "m", stream: false });
          throw faceOf(transcript(name)).readError(status, body, undefined);
        });
      }
      const told = JSON.parse(
        faultEncoder(serverCodec(endpoint).dialect).body(fault, "r").body,
      ) as JsonObject;
      const wanted = JSON.parse(body.toString()) as JsonObject;
      assert.equal(messageOf(told), messageOf(wanted));
      assert.equal(fault.http, status);
    });
  }

  test("llama.cpp's own 500 for an input that is too long is the client's 400", () => {
    const { status, body } = transcript("085");
    const fault = llamacpp.readError(status, body, undefined);
    assert.deepEqual([fault.code, fault.http], ["invalid_request", 400]);
    assert.match(fault.message, /^input \(9001 tokens\) is too large/);
    assert.equal(ollamaClientCodec.readError(400, transcript("313").body, undefined).http, 400);
  });

  test("a server without embeddings is 501", () => {
    const fault = llamacpp.readError(501, transcript("058").body, undefined);
    assert.deepEqual([fault.code, fault.http], ["not_implemented", 501]);
    const exo = openaiClientCodec(OPENAI_PROFILES.exo);
    const request = decode("ollama-embed", { input: "a" });
    assert.equal(exo.passthrough("openai-embeddings"), undefined);
    assert.throws(() => exo.encode(request, { model: "m", stream: false }), {
      code: "not_implemented",
      http: 501,
    });
  });
});

describe("recorded vectors", () => {
  const answered = recorded.filter(({ status, path }) => status === 200 && path !== "/api/embeddings");
  for (const one of answered.filter(({ name }) => !/^(123|124|314)/.test(name))) {
    test(`${one.name} is read at any split, and passed through`, () => {
      const endpoint = endpointOf(one);
      const neutral = decode(endpoint, bodyOf(one));
      const whole = read(faceOf(one), neutral, [one.body]);
      const last = whole.at(-1);
      assert.ok(neutral.kind === "embed" && last?.type === "end");
      const vectors = vectorsOf(whole);
      assert.equal(vectors.length, neutral.inputs.length);
      for (const vector of vectors) assert.ok(Math.abs(lengthOf(vector) - 1) < 1e-5);
      assert.ok((last.usage?.promptTokens ?? 0) >= vectors.length);
      assert.equal(last.usage?.completionTokens, 0);
      fc.assert(
        fc.property(cuts, (at) => {
          const chunks = splitAt(one.body, at);
          assert.deepEqual(read(faceOf(one), neutral, chunks), whole);
          const relay = relayOf(endpoint, bodyOf(one), serverCodec(endpoint).validate(bodyOf(one)).model);
          const passed = JSON.parse(relayAll(relay, chunks).toString()) as JsonObject;
          assert.deepEqual(passed, JSON.parse(one.body.toString()));
          assert.equal(relay.usage?.promptTokens, last.usage?.promptTokens);
        }),
        { numRuns: 5 },
      );
    });
  }

  test("llama.cpp and Ollama make the same vector of the same text, whichever way it is told", () => {
    const ollama = vectorsOf(
      read(ollamaClientCodec, decode("ollama-embed", { input: "hello" }), [transcript("309").body]),
    );
    const request = decode("openai-embeddings", { input: "hello" });
    const base64 = vectorsOf(read(llamacpp, request, [transcript("081").body]));
    assertClose(base64[0] ?? [], ollama[0] ?? []);
    const legacy = JSON.parse(transcript("315").body.toString()) as { embedding: number[] };
    assertClose(legacy.embedding, ollama[0] ?? []);
  });

  test("dimensions cut here are those that Ollama cut, of length 1 again", () => {
    const request = decode("ollama-embed", { input: "hello", dimensions: 4 });
    const [vector] = vectorsOf(read(llamacpp, request, [transcript("081").body]));
    const cut = JSON.parse(transcript("311").body.toString()) as { embeddings: [number[]] };
    assertClose(vector ?? [], cut.embeddings[0]);
  });

  test("the older endpoint tells vectors as the model makes them", () => {
    const request = decode("ollama-embeddings", { prompt: "a" });
    const told = Buffer.from('{"data":[{"index":0,"embedding":[3,4]}]}');
    assert.deepEqual(vectorsOf(read(llamacpp, request, [told])), [[3, 4]]);
    assert.deepEqual(vectorsOf(read(llamacpp, decode("ollama-embed", { input: "a" }), [told])), [[0.6, 0.8]]);
  });

  test("replies have the recorded keys", () => {
    const parts: Part[] = [embedding(0, [1]), { ...end, timings: { total: 5, load: 3 } }];
    const ollama = write("ollama-embed", {}, parts);
    assert.deepEqual(ollama, {
      model: "Asked",
      embeddings: [[1]],
      total_duration: 5,
      load_duration: 3,
      prompt_eval_count: 2,
    });
    assert.deepEqual(
      Object.keys(ollama),
      Object.keys(JSON.parse(transcript("309").body.toString()) as object),
    );
    assert.deepEqual(write("ollama-embeddings", {}, parts), { embedding: [1] });
    const openai = write("openai-embeddings", {}, parts);
    assert.deepEqual(openai, {
      object: "list",
      data: [{ object: "embedding", embedding: [1], index: 0 }],
      model: "Asked",
      usage: { prompt_tokens: 2, total_tokens: 2 },
    });
    assert.deepEqual(
      Object.keys(openai),
      Object.keys(JSON.parse(transcript("316").body.toString()) as object),
    );
  });

  test("base64 is what Ollama makes of the same numbers", () => {
    const { data } = JSON.parse(transcript("317").body.toString()) as { data: { embedding: string }[] };
    const parts = data.map(({ embedding: text }, index) => embedding(index, decodeVector(text)));
    const told = write("openai-embeddings", bodyOf(transcript("317")), [...parts, end]);
    assert.deepEqual(told["data"], data);
  });
});

describe("requests", () => {
  test("without an input load the model", () => {
    for (const name of ["123", "124", "131"]) {
      const one = transcript(name);
      const endpoint = endpointOf(one);
      assert.deepEqual(serverCodec(endpoint).validate(bodyOf(one)), { model: "smollm2", stream: false });
      assert.equal(decode(endpoint, bodyOf(one)).kind, "load");
      const told = write(endpoint, {}, [{ type: "end", reason: "load" }]);
      const wanted = JSON.parse(one.body.toString()) as JsonObject;
      assert.deepEqual(told, wanted["model"] === undefined ? wanted : { ...wanted, model: "Asked" });
      assert.equal(relayAll(relayOf(endpoint, {}), [one.body]).toString(), one.body.toString());
    }
    assert.deepEqual(decode("ollama-embed", { input: [], keep_alive: 0 }), {
      kind: "load",
      unload: true,
      keepAlive: 0,
    });
  });

  test("go to Ollama with all that was asked", () => {
    const body = {
      input: ["a", "b"],
      dimensions: 4,
      keep_alive: "5m",
      options: { num_ctx: 64, temperature: 1 },
      extra: 1,
    };
    const sent = (endpoint: Endpoint, more: object): unknown => {
      const { path, body: text } = ollamaClientCodec.encode(decode(endpoint, { ...body, ...more }), {
        model: "m:latest",
        stream: false,
      });
      assert.equal(path, "/api/embed");
      return JSON.parse(text.toString());
    };
    const { options: _, ...rest } = body;
    const wanted = { ...rest, model: "m:latest", options: { num_ctx: 64 } };
    assert.deepEqual(sent("ollama-embed", { truncate: false }), { ...wanted, truncate: false });
    assert.deepEqual(sent("openai-embeddings", { encoding_format: "BASE64" }), wanted);
  });

  test("go to others as inputs alone, for the gateway cuts and encodes itself", () => {
    const request = decode("ollama-embed", { input: "a", dimensions: 4, options: { num_ctx: 1 } });
    const sent = (kind: keyof typeof OPENAI_PROFILES): unknown => {
      const { path, body } = openaiClientCodec(OPENAI_PROFILES[kind]).encode(request, {
        model: "m",
        stream: false,
      });
      assert.equal(path, "/v1/embeddings");
      return JSON.parse(body.toString());
    };
    assert.deepEqual(sent("llamacpp"), { model: "m", input: ["a"] });
    assert.deepEqual(sent("vllm"), { model: "m", input: ["a"], truncate_prompt_tokens: -1 });
  });

  test("of token ids are for backends that take them", () => {
    for (const input of [[1, 2], [[1, 2]]]) {
      const request = decode("openai-embeddings", { input });
      assert.ok(request.kind === "embed");
      assert.deepEqual(request.inputs, [[1, 2]]);
      const sent = llamacpp.encode(request, { model: "m", stream: false });
      assert.deepEqual(JSON.parse(sent.body.toString()), { model: "m", input: [[1, 2]] });
      const fault = faultOf(() => ollamaClientCodec.encode(request, { model: "m", stream: false }));
      assert.deepEqual([fault.http, fault.message], [400, "invalid input type"]);
    }
  });

  const bad: readonly [Endpoint, object, string][] = [
    ["openai-embeddings", { input: [] }, "invalid input"],
    ["openai-embeddings", { input: 7 }, "invalid input type"],
    ["openai-embeddings", { input: ["a", 1] }, "invalid input type"],
    ["openai-embeddings", { input: [[]] }, "invalid input type"],
    ["openai-embeddings", { input: [1.5] }, "invalid input type"],
    ["openai-embeddings", { input: "a", dimensions: 0 }, "dimensions must be a whole number above 0"],
    ["ollama-embed", { input: { a: 1 } }, "invalid input type"],
    [
      "ollama-embed",
      { input: "a", truncate: "yes" },
      "json: cannot unmarshal string into Go struct field EmbedRequest.truncate of type bool",
    ],
    [
      "ollama-embeddings",
      { prompt: ["a"] },
      "json: cannot unmarshal array into Go struct field EmbeddingRequest.prompt of type string",
    ],
  ];
  for (const [endpoint, body, message] of bad) {
    test(`${endpoint} refuses ${JSON.stringify(body)}`, () => {
      const fault = faultOf(() => serverCodec(endpoint).validate({ model: "m", ...body }));
      assert.deepEqual([fault.http, fault.message], [400, message]);
    });
  }
});

describe("passing through", () => {
  test("changes the model by bytes, and no byte when it is right", () => {
    const body = '{ "model": "m", "input": "a",  "encoding_format": "base64" }';
    assert.equal(sentFor(body, "m"), body);
    assert.equal(sentFor(body), body.replace('"m"', '"id"'));
  });

  test("writes the format as backends know it", () => {
    const sent = JSON.parse(sentFor('{"model":"m","input":"a","encoding_format":"Base64"}')) as unknown;
    assert.deepEqual(sent, { model: "id", input: "a", encoding_format: "base64" });
  });

  test("leaves what is right as it is, byte for byte, but for the model", () => {
    const bytes = reply([3, 4], [0, 2]);
    const body = { input: ["a", "b"] };
    assert.equal(relayAll(relayOf("openai-embeddings", body), [bytes]).toString(), bytes.toString());
    const renamed = relayAll(relayOf("openai-embeddings", body, "Other"), [bytes]).toString();
    assert.equal(renamed, bytes.toString().replace('"model":"m"', '"model":"Other"'));
  });

  test("makes the asked form of what a backend told otherwise", () => {
    const compact = encodeVector([3, 4]);
    assert.deepEqual(passedBy({ input: "a", encoding_format: "base64" }, reply([3, 4])), [compact]);
    assert.deepEqual(passedBy({ input: "a", encoding_format: "base64" }, reply(compact)), [compact]);
    assert.deepEqual(passedBy({ input: "a" }, reply(compact)), [[3, 4]]);
    assert.deepEqual(passedBy({ input: "a", dimensions: 2 }, reply([3, 4, 5])), [[0.6, 0.8]]);
    const cut = passedBy({ input: "a", dimensions: 1, encoding_format: "base64" }, reply(compact));
    assert.deepEqual(cut, [encodeVector([1])]);
  });

  test("puts vectors in the order of their inputs", () => {
    const told = JSON.parse(reply([1], [2]).toString()) as { data: object[] };
    const turned = Buffer.from(JSON.stringify({ ...told, data: told.data.toReversed() }));
    assert.deepEqual(passedBy({ input: ["a", "b"] }, turned), [[1], [2]]);
  });

  test("a reply that is not whole is backend_lost, from either dialect", () => {
    const bodies = [
      "",
      "{",
      "{}",
      '{"data":[]}',
      '{"data":[{"embedding":[]}]}',
      '{"data":[{"embedding":["x"]}]}',
    ];
    const input = { input: "a" };
    for (const body of [...bodies, '{"data":[{"embedding":"AAA="}]}', '{"embeddings":[[null]]}']) {
      const bytes = Buffer.from(body);
      for (const codec of [llamacpp, ollamaClientCodec]) {
        assert.throws(
          () => read(codec, decode("ollama-embed", input), [bytes]),
          { code: "backend_lost" },
          body,
        );
      }
      assert.throws(
        () => relayAll(relayOf("openai-embeddings", input), [bytes]),
        { code: "backend_lost" },
        body,
      );
      if (body.includes("embeddings")) continue;
      assert.throws(() => relayAll(relayOf("ollama-embed", input), [bytes]), { code: "backend_lost" }, body);
    }
    const { body } = transcript("310");
    const cut = [body.subarray(0, body.length - 5)];
    assert.throws(() => relayAll(relayOf("ollama-embed", input), cut), { code: "backend_lost" });
  });

  test("an error within a reply is the backend's", () => {
    const bytes = Buffer.from('{"error":{"message":"no","code":400}}');
    assert.throws(() => relayAll(relayOf("openai-embeddings", { input: "a" }), [bytes]), {
      message: "no",
      http: 400,
    });
    assert.throws(() => relayAll(relayOf("ollama-embed", {}), [Buffer.from('{"error":"no"}')]), {
      message: "no",
    });
  });
});

describe("vectors", () => {
  const floats = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
    minLength: 1,
    maxLength: 40,
  });

  test("base64 holds every float32 exactly, little end first", () => {
    assert.equal(encodeVector([1]), Buffer.from([0, 0, 0x80, 0x3f]).toString("base64"));
    fc.assert(
      fc.property(floats, (vector) => {
        const text = encodeVector(vector);
        assert.equal(text.length, encodedLength(vector));
        assert.deepEqual(decodeVector(text), vector);
        const array = new Float32Array(vector);
        assert.equal(text, Buffer.from(array.buffer).toString("base64"));
      }),
    );
  });

  test("base64 rounds other numbers to the nearest float32", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1 }), (vector) => {
        assert.deepEqual(decodeVector(encodeVector(vector)), vector.map(Math.fround));
      }),
    );
  });

  test("normalised ones have length 1 and their direction", () => {
    const numbers = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(numbers, fc.nat({ max: 50 }), (vector, dimensions) => {
        fc.pre(vector.some((value) => Math.abs(value) > 1e-3));
        const unit = shapeVector(vector, { normalise: true });
        assert.ok(Math.abs(lengthOf(unit) - 1) < 1.1e-5);
        const factor = lengthOf(vector);
        for (const [index, value] of unit.entries()) {
          assert.ok(Math.abs(value * factor - (vector[index] ?? 0)) <= 2e-5 * factor);
        }
        const cut = shapeVector(vector, { normalise: false, dimensions: dimensions + 1 });
        assert.equal(cut.length, Math.min(dimensions + 1, vector.length));
      }),
    );
    assert.deepEqual(shapeVector([3, 4], { normalise: false }), [3, 4]);
    assert.deepEqual(shapeVector([0, 0], { normalise: true }), [0, 0]);
  });
});

test("a text where a vector belongs, or the reverse, is no reply", () => {
  const text: Part = { type: "text-delta", text: "a" };
  for (const endpoint of ["ollama-embed", "ollama-embeddings", "openai-embeddings"] as const) {
    assert.throws(() => write(endpoint, {}, [text, end]), { code: "backend_lost" });
  }
  for (const endpoint of ["ollama-chat", "ollama-generate", "openai-chat", "openai-completion"] as const) {
    assert.throws(() => write(endpoint, {}, [embedding(0, [1]), end]), { code: "backend_lost" });
  }
});
