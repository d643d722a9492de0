import assert from "node:assert/strict";
import { journey, MODEL } from "../rig/fleet/fleet.ts";

const messages = [{ role: "user", content: "hello", name: "Ada" }];
const ollamaBody = {
  model: MODEL,
  messages,
  keep_alive: "5m",
  options: { top_k: 3, typical_p: 0.5, num_ctx: 4096 },
};
const openaiBody = { model: MODEL, messages, user: "u", logit_bias: { 5: 1 } };

const CASES = [
  {
    speaks: "openai",
    path: "/api/chat",
    body: ollamaBody,
    relayed: { path: "/v1/chat/completions", body: openaiBody },
    told: "top_k, typical_p, num_ctx, keep_alive",
  },
  {
    speaks: "ollama",
    path: "/v1/chat/completions",
    body: openaiBody,
    relayed: { path: "/api/chat", body: ollamaBody },
    told: "logit_bias, messages.name",
  },
] as const;

for (const { speaks, path, body, relayed, told } of CASES) {
  journey(
    `a client is told what a backend that speaks ${speaks} does not get of its request`,
    { posts: [{ speaks }] },
    async (fleet) => {
      const ask = async (where: string, what: object): Promise<string | null> => {
        const response = await fetch(fleet.gateway.url + where, {
          method: "POST",
          body: JSON.stringify(what),
        });
        assert.equal(response.status, 200, await response.text());
        return response.headers.get("x-sgnet-dropped");
      };
      for (const stream of [true, false]) {
        assert.equal(await ask(path, { ...body, stream }), told);
        assert.equal(await ask(relayed.path, { ...relayed.body, stream }), null, "relayed as it came");
      }
      await fleet.settled();
    },
  );
}
