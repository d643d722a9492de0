import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Fault } from "../../src/core/fault.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { psBody, showBody } from "../../src/protocols/model-lists.ts";
import {
  type ModelManagementEndpoint,
  managedModelNotFound,
  readDigest,
  readManagementHead,
  showBodyFor,
} from "../../src/protocols/ollama/management.ts";
import { replyError, ProgressMerger } from "../../src/protocols/ollama/progress-merger.ts";
import { loadTranscript } from "../rig/transcript.ts";

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    const { http, message } = error as Fault;
    return `${http} ${message}`;
  }
  return "accepted";
}

describe("orders", () => {
  const verdicts: readonly (readonly [
    ModelManagementEndpoint,
    Parameters<typeof readManagementHead>[1],
    string,
  ])[] = [
    ["ollama-show", {}, "400 model is required"],
    ["ollama-show", { model: "../x" }, "400 invalid model name"],
    ["ollama-pull", {}, "400 invalid model name"],
    ["ollama-pull", { model: "bad name" }, "400 invalid model name"],
    ["ollama-push", {}, "400 model is required"],
    ["ollama-create", { from: "x" }, "400 invalid model name"],
    ["ollama-delete", {}, "400 model is required"],
    ["ollama-copy", { source: "bad name", destination: "x" }, '400 source "bad name" is invalid'],
    ["ollama-copy", { source: "x" }, '400 destination "" is invalid'],
    [
      "ollama-pull",
      { model: 7 },
      "400 json: cannot unmarshal number into Go struct field PullRequest.model of type string",
    ],
  ];
  for (const [request, body, verdict] of verdicts) {
    it(`${request} ${JSON.stringify(body)}: ${verdict}`, () => {
      assert.equal(
        refusal(() => readManagementHead(request, body)),
        verdict,
      );
    });
  }

  it("name their model by either field, and are streams unless they say otherwise", () => {
    assert.deepEqual(readManagementHead("ollama-pull", { name: "a" }), { model: "a", stream: true });
    assert.deepEqual(readManagementHead("ollama-pull", { model: "a", name: "b", stream: false }), {
      model: "a",
      stream: false,
    });
    assert.deepEqual(readManagementHead("ollama-copy", { source: "a", destination: "b" }), {
      model: "a",
      stream: false,
    });
  });

  it("about unknown models are refused as Ollama does", () => {
    assert.equal(managedModelNotFound("ollama-show", "nope").message, "model 'nope:latest' not found");
    assert.equal(managedModelNotFound("ollama-delete", "nope").message, "model 'nope' not found");
    assert.equal(managedModelNotFound("ollama-copy", "nope").message, 'model "nope" not found');
  });

  it("for blobs have a digest", () => {
    const digest = `sha256:${"ab".repeat(32)}`;
    assert.equal(readDigest(`/api/blobs/${digest}`), digest);
    for (const bad of ["", "xyz", `${digest}0`, digest.toUpperCase(), "sha256:../../x"])
      assert.equal(
        refusal(() => readDigest(`/api/blobs/${bad}`)),
        "400 invalid digest format",
      );
  });
});

type Step = { readonly status?: string; readonly error?: string } & Record<string, unknown>;

const DIGEST = "sha256:aa";
const DONE = { status: 200, rest: "" };

function pull(total: number): Step[] {
  const layer = { status: "pulling aa", digest: DIGEST, total };
  return [
    { status: "pulling manifest" },
    layer,
    { ...layer, completed: Math.floor(total / 2) },
    { ...layer, completed: total },
    { status: "writing manifest" },
    { status: "success" },
  ];
}

describe("the progress of several servers", () => {
  it("is one, whatever the order in which their lines come", () => {
    const turns = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 30 });
    fc.assert(
      fc.property(turns, (order) => {
        const merger = new ProgressMerger(["a", "b", "c"]);
        const servers = [pull(10), pull(20), pull(30)];
        const told: Step[] = [];
        const advance = (index: number): void => {
          const step = servers[index]?.shift();
          const news = step === undefined ? undefined : merger.line(index, JSON.stringify(step));
          if (news !== undefined) told.push(news);
        };
        for (const index of order) advance(index);
        for (const index of [0, 1, 2]) while ((servers[index]?.length ?? 0) > 0) advance(index);
        assert.deepEqual(
          [0, 1, 2].map((index) => merger.end(index, DONE)),
          [undefined, undefined, { error: undefined, status: 200 }],
        );
        const steps = told.filter(({ digest }) => digest === undefined).map(({ status }) => status);
        assert.deepEqual(new Set(steps), new Set(["pulling manifest", "writing manifest"]));
        assert.equal(steps.length, 2);
        const layers = told.filter(({ digest }) => digest === DIGEST);
        assert.deepEqual(layers.at(-1), { status: "pulling aa", digest: DIGEST, total: 60, completed: 60 });
        const completed = layers.map((layer) => Number(layer["completed"] ?? 0));
        assert.deepEqual(
          completed,
          completed.toSorted((a, b) => a - b),
        );
      }),
    );
  });

  it("fails when one fails, and says what succeeded where and what failed where", () => {
    const merger = new ProgressMerger(["worker a", "worker b"]);
    merger.line(0, '{"status":"success"}');
    assert.equal(merger.ended(0), undefined);
    assert.equal(merger.end(0, DONE), undefined);
    assert.deepEqual(merger.ended(0), { status: "worker a: success" });
    assert.equal(merger.line(1, '{"error":"no space left"}'), undefined);
    assert.deepEqual(merger.end(1, DONE), {
      error: "done on 1 of 2 servers (worker a), failed on worker b: no space left",
      status: 500,
    });
    assert.equal(merger.ended(1), undefined, "the end tells it");
    assert.equal(merger.end(1, DONE), undefined);
  });

  it("puts together those that failed alike, and tells of a failure while others go on", () => {
    const merger = new ProgressMerger(["a", "b", "c", "d", "e"]);
    merger.line(2, '{"status":"success"}');
    const badGateway = { status: 502, rest: "<html>Bad Gateway</html>" };
    for (const index of [0, 1, 2, 3]) merger.end(index, index === 1 ? badGateway : DONE);
    assert.deepEqual(merger.ended(1), { status: "b: failed: <html>Bad Gateway</html>" });
    const undone = "it ended before it was done";
    assert.deepEqual(merger.end(4, { status: 500, rest: '{"error":"no space left"}' }), {
      error: `done on 1 of 5 servers (c), failed on a, d: ${undone}; b: <html>Bad Gateway</html>; e: no space left`,
      status: 500,
    });
  });

  it("that all fail names them, and none that succeeded", () => {
    const merger = new ProgressMerger(["a", "b"]);
    for (const [index, text] of ["x", "y"].entries()) merger.line(index, JSON.stringify({ error: text }));
    merger.end(0, DONE);
    assert.equal(merger.end(1, DONE)?.error, "a: x; b: y");
  });

  it("of very many servers is told in bounds", () => {
    const names = Array.from({ length: 1000 }, (_, index) => `worker w${index} (ollama@127.0.0.1:11434)`);
    const merger = new ProgressMerger(names);
    for (const index of names.keys()) merger.line(index, JSON.stringify({ error: "x".repeat(9000) }));
    const ends = names.map((_name, index) => merger.end(index, DONE));
    assert.match(String(ends.at(-1)?.error), /^worker w0 .* and 980 more: x{1000}$/);
  });

  it("of one that ends without success is an error", () => {
    const merger = new ProgressMerger(["worker a"]);
    merger.line(0, '{"status":"pulling manifest"}');
    assert.deepEqual(merger.end(0, DONE), { error: "it ended before it was done", status: 500 });
  });

  it("keeps the status of a server that refused at once", () => {
    const merger = new ProgressMerger(["worker a"]);
    const { status, body } = loadTranscript("ollama-management", "143");
    assert.deepEqual(merger.end(0, { status, rest: body.toString() }), {
      error: "neither 'from' or 'files' was specified",
      status: 400,
    });
  });

  it("passes the steps of one server on as they are", () => {
    const merger = new ProgressMerger(["worker a"]);
    const lines = loadTranscript("ollama-management", "141").body.toString().trimEnd().split("\n");
    const told = lines.map((line) => merger.line(0, line));
    const steps = lines.map((line): unknown => JSON.parse(line));
    assert.deepEqual(told, [...steps.slice(0, -1), undefined]);
    assert.deepEqual(merger.end(0, DONE), { error: undefined, status: 200 });
  });

  it("takes the error out of a body, or the body as one", () => {
    assert.equal(replyError('{"error":"boom"}'), "boom");
    assert.equal(replyError('{"error":{"message":"boom"}}'), '{"message":"boom"}');
    assert.equal(replyError(" 404 page not found\n"), "404 page not found");
    assert.equal(replyError("null"), "null");
  });
});

const CARD: ModelCard = {
  key: "a",
  name: "a:latest",
  modifiedAt: 0,
  size: 10,
  digest: "ab".repeat(32),
  format: "gguf",
  family: "llama",
  parameterSize: "1B",
  quantization: "Q4_0",
  contextLength: 8192,
  capabilities: ["completion"],
  ownedBy: "",
  resident: true,
};

interface Held {
  readonly models: readonly Record<string, unknown>[];
}

describe("models in memory", () => {
  it("look as Ollama's own list does", () => {
    const recorded = JSON.parse(loadTranscript("ollama-management", "039").body.toString()) as Held;
    const ours = JSON.parse(psBody([CARD])) as Held;
    assert.deepEqual(Object.keys(ours.models[0] ?? {}), Object.keys(recorded.models[0] ?? {}));
    assert.deepEqual(
      Object.keys(ours.models[0]?.["details"] ?? {}),
      Object.keys(recorded.models[0]?.["details"] ?? {}),
    );
    assert.equal(psBody([{ ...CARD, resident: false }]), '{"models":[]}');
  });

  it("are merged by name, those that stay longest first", () => {
    const load = { size: 20, sizeVram: 5, expiresAt: 1000, contextLength: 2048 };
    const cards = [
      { ...CARD, load },
      { ...CARD, load: { size: 15, sizeVram: 7, expiresAt: 3000, contextLength: 1024 } },
      { ...CARD, key: "b", name: "b:1", load: { ...load, expiresAt: 2000 } },
      { ...CARD, key: "c", name: "c" },
    ];
    const { models } = JSON.parse(psBody(cards)) as Held;
    assert.deepEqual(
      models.map((model) => [model["name"], model["size"], model["size_vram"], model["expires_at"]]),
      [
        ["c:latest", 10, 0, "2319-01-01T00:00:00.000Z"],
        ["a:latest", 20, 7, "1970-01-01T00:00:03.000Z"],
        ["b:1", 20, 5, "1970-01-01T00:00:02.000Z"],
      ],
    );
  });
});

describe("a shown model", () => {
  const body = Buffer.from('{"model_info":{"general.basename":"x","a":1},"template":""}');
  it("goes by the name Copilot asked for, and to others as it is", () => {
    assert.equal(showBodyFor("curl/8", "me/tiny", body), body);
    assert.deepEqual(JSON.parse(showBodyFor("GitHubCopilotChat/0.3", "me/tiny", body).toString()), {
      model_info: { "general.basename": "me/tiny", a: 1 },
      template: "",
    });
  });
});

describe("a model whose server cannot show it", () => {
  it("is shown with what clients look for", () => {
    const shown = JSON.parse(showBody(CARD)) as Record<string, Record<string, unknown> | string>;
    const info = shown["model_info"] as Record<string, unknown>;
    assert.equal(info["general.architecture"], "llama");
    assert.equal(info["llama.context_length"], 8192);
    assert.deepEqual(shown["capabilities"], ["completion"]);
    assert.equal(shown["template"], "{{ .Prompt }}");
    const filling = showBody({ ...CARD, family: "", capabilities: ["completion", "insert"] });
    assert.match(filling, /\.Suffix/);
    assert.match(filling, /"unknown\.context_length":8192/);
  });
});
