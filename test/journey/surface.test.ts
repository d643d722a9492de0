import assert from "node:assert/strict";
import { Keys } from "../../src/redis/keys.ts";
import { SummaryLog } from "../../src/redis/inspect/summary-log.ts";
import { FleetReader } from "../../src/redis/inspect/fleet-reader.ts";
import type { TaskSummary } from "../../src/core/summary.ts";
import { type Answer, sendBytes, sendJson, SurfaceServer } from "../rig/backends/surface-server.ts";
import type { SurfaceServerOptions } from "../rig/backends/surface-server.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** The rest of OpenAI's surface, relayed through gateway, Redis and worker. */

const RANKED = {
  id: "rerank-1",
  model: "BAAI/bge",
  usage: { total_tokens: 11 },
  results: [{ index: 1, document: { text: "b" }, relevance_score: 0.9 }],
};

async function withServer(
  fleet: Fleet,
  options: SurfaceServerOptions,
  run: (server: SurfaceServer) => Promise<void>,
): Promise<void> {
  const server = await SurfaceServer.start(options);
  try {
    await addWorker(fleet, server);
    await fleet.known((options.models ?? ["bge"])[0]);
    await run(server);
  } finally {
    await server.stop();
  }
}

async function addWorker(fleet: Fleet, server: SurfaceServer): Promise<{ kill(): Promise<void> }> {
  return fleet.addBareWorker({ SGNET_BACKENDS: `openai+${server.url}`, SGNET_SLOTS: "4" });
}

function post(fleet: Fleet, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(fleet.gateway.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function errorOf(response: Response): Promise<{ code: string | null; message: string }> {
  return ((await response.json()) as { error: { code: string | null; message: string } }).error;
}

const silent: Answer = () => {};

const endless: Answer = ({ response }) => {
  response.writeHead(200, { "content-type": "audio/wav" });
  response.write(Buffer.alloc(1000));
};

/** A request and what the backend answers, by path. */
const EXCHANGES: Readonly<Record<string, readonly [request: object, reply: object]>> = {
  "/v1/rerank": [{ query: "a", documents: ["b"], top_n: 1 }, RANKED],
  "/rerank": [{ query: "a", documents: ["b"], return_documents: false }, RANKED],
  "/v2/rerank": [
    { query: "a", documents: ["b"] },
    { results: [], meta: { tokens: { input_tokens: 5 } } },
  ],
  "/reranking": [{ query: "a", texts: ["b"] }, [{ index: 0, score: 0.5 }]],
  "/v1/reranking": [{ query: "a", documents: ["b"] }, RANKED],
  "/v1/score": [
    { text_1: "a", text_2: ["b"] },
    { model: "bge", data: [{ index: 0, score: 1 }], usage: {} },
  ],
  "/score": [
    { text_1: "a", text_2: ["b"] },
    { model: "bge", data: [] },
  ],
  "/tokenize": [
    { prompt: "Hi", add_special_tokens: false },
    { count: 1, max_model_len: 9, tokens: [1] },
  ],
  "/detokenize": [{ tokens: [1] }, { prompt: "Hi" }],
  "/v1/moderations": [{ input: "a" }, { id: "m", model: "bge", results: [{ flagged: false }] }],
  "/v1/images/generations": [
    { prompt: "a", n: 1 },
    { created: 1, data: [{ b64_json: "AAAA" }] },
  ],
  "/infill": [
    { input_prefix: "a", input_suffix: "b" },
    { content: "x", stop: true, tokens_predicted: 3 },
  ],
};

journey(
  "every endpoint is relayed to the path that was asked, with its words",
  { posts: [] },
  async (fleet, t) => {
    const paths = Object.fromEntries(
      Object.entries(EXCHANGES).map(([path, [, reply]]) => [path, sendJson(200, reply)]),
    );
    await withServer(fleet, { paths }, async (server) => {
      for (const [index, [path, [request, reply]]] of Object.entries(EXCHANGES).entries()) {
        await t.test(path, async () => {
          const response = await post(fleet, path, { model: "bge", ...request });
          assert.equal(response.status, 200);
          assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
          const expected = "model" in reply ? { ...reply, model: "bge" } : reply;
          assert.deepEqual(await response.json(), expected);
          const seen = await server.request(index);
          assert.equal(seen.path, path);
          assert.equal(seen.body.toString(), JSON.stringify({ model: "bge", ...request }));
        });
      }
      const logged = await summaries(fleet, Object.keys(EXCHANGES).length);
      assert.deepEqual(new Set(logged.map(({ model, code }) => `${model} ${code}`)), new Set(["bge ok"]));
      const counted = logged.filter(({ promptTokens }) => (promptTokens ?? 0) > 0);
      assert.deepEqual(
        counted.map(({ endpoint, promptTokens }) => `${endpoint} ${promptTokens}`),
        ["openai-rerank 11", "openai-rerank 11", "openai-rerank 5", "openai-rerank 11"],
      );
      const metrics = await (await fetch(`${fleet.gateway.url}/metrics`)).text();
      assert.match(metrics, /sgnet_tasks_ended_total\{[^}]*endpoint="openai-score"[^}]*model="bge"[^}]*\} 2/);
    });
  },
);

async function summaries(fleet: Fleet, count: number): Promise<readonly TaskSummary[]> {
  let logged: readonly TaskSummary[] = [];
  await until(`${count} summaries`, async () => {
    logged = (await new SummaryLog(fleet.probe, fleet.keys).latest({ count: 100 })).map(
      ({ summary }) => summary,
    );
    return logged.length >= count;
  });
  return logged.toSorted((a, b) => a.at - b.at);
}

journey(
  "the model is echoed as it was asked for, and the body goes through byte for byte",
  { posts: [] },
  async (fleet) => {
    const options = { models: ["BAAI/bge"], paths: { "/v1/rerank": sendJson(200, RANKED) } };
    await withServer(fleet, options, async (server) => {
      const body =
        ' {"query" : "a", "documents":["model", {"Title":"x","model":"y"}],\n"model":"baai/BGE", "top_n":1e0}';
      const reply = await post(fleet, "/v2/rerank", body);
      assert.equal(reply.status, 200, await reply.clone().text());
      assert.deepEqual(await reply.json(), { ...RANKED, model: "baai/BGE" });
      const { path, body: sent } = await server.request();
      assert.equal(path, "/v1/rerank", "the one that there is");
      assert.equal(sent.toString(), body.replace("baai/BGE", "BAAI/bge"));
    });
  },
);

journey(
  "a request without a model goes to the only one that has the endpoint",
  { posts: [{ speaks: "openai" }] },
  async (fleet) => {
    const options = { models: ["qwen"], paths: { "/tokenize": sendJson(200, { tokens: [1] }) } };
    await withServer(fleet, options, async (server) => {
      const reply = await post(fleet, "/tokenize", { content: "Hi" });
      assert.deepEqual(await reply.json(), { tokens: [1] });
      const { body } = await server.request();
      assert.equal(body.toString(), '{"model":"qwen","content":"Hi"}');
      await withServer(fleet, { ...options, models: ["other"] }, async () => {
        const unclear = await post(fleet, "/tokenize", { content: "Hi" });
        assert.equal(unclear.status, 400);
        assert.equal(
          (await errorOf(unclear)).message,
          "model is required: several models here have tokenize",
        );
      });
    });
  },
);

journey(
  "a model whose backend has none of it: 501 at once; an unknown one: 404",
  { posts: [{ speaks: "openai" }] },
  async (fleet) => {
    const body = { query: "a", documents: ["b"] };
    const lacking = await post(fleet, "/v1/rerank", { model: "tiny", ...body });
    assert.equal(lacking.status, 501);
    assert.deepEqual(await errorOf(lacking), {
      message: "no backend of the model 'tiny' has rerank",
      type: "api_error",
      param: null,
      code: "not_implemented",
    });
    assert.equal((await post(fleet, "/v1/rerank", { model: "none", ...body })).status, 404);
    assert.equal((await post(fleet, "/v1/rerank", body)).status, 501, "nobody has it");
    assert.equal((await post(fleet, "/v1/rerank", "{")).status, 400);
    assert.equal((await post(fleet, "/v1/rerank", { model: ["tiny"], ...body })).status, 400);
  },
);

journey("only workers whose backend has the endpoint get its requests", { posts: [] }, async (fleet) => {
  const lacking = await SurfaceServer.start({ paths: {} });
  try {
    for (let n = 0; n < 3; n += 1) await addWorker(fleet, lacking);
    await fleet.known("bge");
    assert.equal((await post(fleet, "/rerank", { model: "bge", query: "a" })).status, 501);
    await withServer(fleet, { paths: { "/rerank": sendJson(200, RANKED) } }, async (able) => {
      await until("a worker with rerank", async () => {
        return (await post(fleet, "/rerank", { model: "bge", query: "a" })).status === 200;
      });
      const before = able.seen.length;
      const replies = await Promise.all(
        Array.from({ length: 40 }, () => post(fleet, "/rerank", { model: "bge", query: "a" })),
      );
      assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
      assert.equal(able.seen.length - before, 40);
      assert.equal(lacking.seen.length, 0);
      const logged = await summaries(fleet, 40);
      assert.deepEqual(
        new Set(logged.filter(({ code }) => code === "ok").map(({ attempts }) => attempts)),
        new Set([1]),
      );
    });
  } finally {
    await lacking.stop();
  }
});

journey(
  "an error of the backend keeps its words and its status",
  { posts: [], env: { SGNET_BUSY_LIMIT: "1" } },
  async (fleet) => {
    const detail = [{ loc: ["body", "query"], msg: "field required" }];
    const answers: readonly (readonly [Answer, number, RegExp])[] = [
      [sendJson(422, { detail }), 422, /field required/],
      [
        sendJson(400, { error: { message: "too many documents", type: "invalid_request_error" } }),
        400,
        /too many/,
      ],
      [sendJson(200, { error: { message: "does not support Rerank", code: 400 } }), 400, /does not support/],
      [sendJson(501, { error: { code: 501, message: "Start it with `--reranking`" } }), 501, /--reranking/],
      [sendJson(401, { error: "bad key" }), 502, /bad key/],
      [sendJson(429, { error: "slow down" }), 429, /slow down/],
      [sendBytes(200, "application/json", '{"results":['), 502, /before it was complete/],
      [sendJson(500, { error: { message: "CUDA error" } }), 500, /CUDA error/],
    ];
    let answer: Answer = sendJson(200, {});
    await withServer(fleet, { paths: { "/v1/rerank": (seen) => answer(seen) } }, async () => {
      for (const [next, status, words] of answers) {
        answer = next;
        const reply = await post(fleet, "/v1/rerank", { model: "bge", query: "a", documents: ["b"] });
        assert.equal(reply.status, status);
        assert.match((await errorOf(reply)).message, words);
      }
    });
  },
);

journey(
  "a client that leaves frees its backend, while it waits and while it is answered",
  { posts: [] },
  async (fleet) => {
    await withServer(
      fleet,
      { paths: { "/v1/rerank": silent, "/v1/audio/speech": endless } },
      async (server) => {
        const leaver = new AbortController();
        const asked = post(fleet, "/v1/rerank", { model: "bge", query: "a", documents: [] }, leaver.signal);
        const { left } = await server.request();
        leaver.abort();
        await assert.rejects(asked);
        await left;
        const listener = new AbortController();
        const spoken = await post(fleet, "/v1/audio/speech", { model: "bge", input: "a" }, listener.signal);
        const reader = spoken.body?.getReader();
        await reader?.read();
        const { left: silenced } = await server.request(1);
        listener.abort();
        await silenced;
        const logged = await summaries(fleet, 2);
        assert.deepEqual(
          logged.map(({ code }) => code),
          ["cancelled", "cancelled"],
        );
      },
    );
  },
);

/** The head of an answer and some of it, then the connection breaks. */
function breakingOff(contentType: string, bytes: Buffer | string): Answer {
  return ({ response }) => {
    response.writeHead(200, { "content-type": contentType });
    response.write(bytes, () => setImmediate(() => response.destroy()));
  };
}

journey(
  "an answer that breaks off is made again elsewhere, as long as nothing of it was sent",
  { posts: [] },
  async (fleet) => {
    const broken = { paths: { "/v1/rerank": breakingOff("application/json", '{"results":') } };
    await withServer(fleet, broken, async (first) => {
      const asked = post(fleet, "/v1/rerank", { model: "bge", query: "a", documents: ["b"] });
      await first.request();
      assert.equal((await asked).status, 502, "there is nobody else");
      await withServer(fleet, { paths: { "/v1/rerank": sendJson(200, RANKED) } }, async (second) => {
        // The first worker reports that no other exists until it knows the second.
        await until("an answer of the second in the place of the first", async () => {
          const [before, after] = [first.seen.length, second.seen.length];
          const reply = await post(fleet, "/v1/rerank", { model: "bge", query: "a", documents: ["b"] });
          assert.ok(reply.status === 200 || reply.status === 502, String(reply.status));
          return reply.status === 200 && first.seen.length > before && second.seen.length > after;
        });
      });
    });
  },
);

journey("sound that breaks off is cut, events that do end with an error", { posts: [] }, async (fleet) => {
  const delta = 'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n';
  const paths = {
    "/v1/audio/speech": (seen: Parameters<Answer>[0]): void => {
      const isEvents = seen.body.includes('"sse"');
      breakingOff(
        isEvents ? "text/event-stream" : "audio/mpeg",
        isEvents ? delta : Buffer.alloc(99, 7),
      )(seen);
    },
    "/infill": breakingOff("text/event-stream", 'data: {"content":"a","stop":false}\n\n'),
  };
  await withServer(fleet, { paths }, async () => {
    const sound = await post(fleet, "/v1/audio/speech", { model: "bge", input: "a" });
    assert.equal(sound.headers.get("content-type"), "audio/mpeg");
    await assert.rejects(sound.arrayBuffer(), "a sound that was cut must not look whole");
    const events = await post(fleet, "/v1/audio/speech", { model: "bge", input: "a", stream_format: "sse" });
    const text = await events.text();
    assert.ok(
      text.startsWith(delta) && /"error":\{"message":"the backend's reply broke off/.test(text),
      text,
    );
    const infill = await post(fleet, "/infill", { model: "bge", input_prefix: "a", stream: true });
    assert.match(await infill.text(), /"content":"a".*\n\ndata: \{"error"/s);
  });
});

journey("sound and events are told as they come", { posts: [] }, async (fleet) => {
  const go = Promise.withResolvers<void>();
  const pieces = [Buffer.from([0, 255, 10, 10]), Buffer.from("data: 1\n\n")];
  const events = [
    'data: {"type":"speech.audio.delta","audio":"AA"}\n\n',
    'data: {"type":"speech.audio.done"}\n\n',
  ];
  const speak: Answer = ({ response, body }) => {
    const isEvents = body.includes('"sse"');
    const [first, second] = isEvents ? events : pieces;
    response.writeHead(200, { "content-type": isEvents ? "text/event-stream" : "audio/pcm" });
    response.write(first);
    void go.promise.then(() => response.end(second));
  };
  await withServer(fleet, { paths: { "/v1/audio/speech": speak } }, async () => {
    const body = { model: "bge", input: "a" };
    const heard = await Promise.all([
      post(fleet, "/v1/audio/speech", body),
      post(fleet, "/v1/audio/speech", { ...body, stream_format: "sse" }),
    ]);
    const readers = heard.map(({ body: stream }) => stream?.getReader());
    const firsts = await Promise.all(readers.map(async (reader) => reader?.read()));
    assert.deepEqual(
      firsts.map((read) => Buffer.from(read?.value ?? []).toString("hex")),
      [pieces[0]?.toString("hex"), Buffer.from(events[0] ?? "").toString("hex")],
    );
    go.resolve();
    const rests = await Promise.all(readers.map(rest));
    assert.deepEqual(rests, [pieces[1]?.toString(), events[1]]);
  });
});

async function rest(reader: ReadableStreamDefaultReader<Uint8Array> | undefined): Promise<string> {
  const all: Uint8Array[] = [];
  for (;;) {
    const read = await reader?.read();
    if (read === undefined || read.done) return Buffer.concat(all).toString();
    all.push(read.value);
  }
}

journey(
  "a lost worker's request runs on another, and one without a worker waits for it",
  { posts: [] },
  async (fleet) => {
    let answer = silent;
    const server = await SurfaceServer.start({ paths: { "/v1/rerank": (seen) => answer(seen) } });
    try {
      const first = await addWorker(fleet, server);
      await fleet.known("bge");
      const asked = post(fleet, "/v1/rerank", { model: "bge", query: "a", documents: ["b"] });
      await server.request();
      await first.kill();
      // No worker is there. The ability queue is remembered, as its model is.
      const waiting = post(fleet, "/v1/rerank", { model: "bge", query: "b", documents: ["b"] });
      await until("two in the ability", async () => {
        const { models } = await new FleetReader(fleet.probe, new Keys("sgnet")).read(0);
        const bge = models.find(({ model }) => model === "bge");
        return models.length === 1 && bge !== undefined && bge.waiting + bge.claimed === 2;
      });
      answer = sendJson(200, RANKED);
      await addWorker(fleet, server);
      for (const reply of await Promise.all([asked, waiting])) assert.equal(reply.status, 200);
    } finally {
      await server.stop();
    }
  },
);
