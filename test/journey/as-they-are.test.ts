import assert from "node:assert/strict";
import { journey, MODEL } from "../rig/fleet/fleet.ts";

const messages = [{ role: "user", content: "hello" }];

const NAMES = ["/models/Qwen3-8B", "./x.gguf", "My Model", "org/model,v1", "{a}:b"];

journey(
  "a model whose id is a path, or has blanks, is listed and answers in every dialect",
  { posts: [{ speaks: "openai", models: [MODEL, ...NAMES] }] },
  async (fleet) => {
    const { url } = fleet.gateway;
    const list = await fetch(`${url}/v1/models/`);
    const { data } = (await list.json()) as { data: { id: string }[] };
    assert.deepEqual(new Set(data.map(({ id }) => id)), new Set([MODEL, ...NAMES]));
    const paths = ["/api/chat", "/v1/chat/completions", "/v1/messages"];
    for (const model of NAMES) {
      for (const path of paths) {
        const body = JSON.stringify({ model, messages, stream: false, max_tokens: 2 });
        const response = await fetch(url + path, { method: "POST", body });
        const reply = await response.text();
        assert.equal(response.status, 200, `${model} at ${path}: ${reply}`);
        assert.match(reply, /t0 t1/);
        assert.equal((JSON.parse(reply) as { model: string }).model, model);
      }
      const one = await fetch(`${url}/v1/models/${encodeURIComponent(model)}`);
      assert.equal(one.status, 200, model);
    }
    await fleet.settled();
  },
);

journey(
  "a body that its backend could read otherwise does not reach it",
  { posts: [{ speaks: "ollama" }] },
  async (fleet) => {
    const bodies = [
      `{"model":"${MODEL}","messages":[],"stream":false,"Stream":true}`,
      `{"model":"${MODEL}","Model":"other","messages":[]}`,
      `{"model":"${MODEL}","messages":[{"role":"user","role":"system","content":"a"}]}`,
    ];
    for (const path of ["/api/chat", "/v1/chat/completions", "/v1/messages", "/api/show"]) {
      for (const body of bodies) {
        const response = await fetch(fleet.gateway.url + path, { method: "POST", body });
        assert.equal(response.status, 400, path);
        const reply = (await response.json()) as { error: string | { message: string } };
        const told = typeof reply.error === "string" ? reply.error : reply.error.message;
        assert.match(told, /comes twice/, path);
      }
    }
    await fleet.settled();
  },
);
