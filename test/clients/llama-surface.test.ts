import assert from "node:assert/strict";
import { EMBEDDED_MODEL as MODEL } from "../rig/fleet/embedded-model.ts";
import { journey } from "../rig/fleet/fleet.ts";
import { besideLlama } from "./llama-server.ts";

/** The first run fetches the weights and the library. */
const LIMIT_MS = 600_000;

async function post(url: string, path: string, body: object): Promise<{ status: number; text: string }> {
  const response = await fetch(url + path, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

journey(
  "llama.cpp's own server: what it has of the surface is found without a generation, and answers as directly",
  { posts: [], limitMs: LIMIT_MS },
  async (fleet, t) => {
    await besideLlama(fleet, t, async (server) => {
      const { url } = fleet.gateway;
      const { data } = (await (await fetch(`${url}/v1/models`)).json()) as {
        data: { endpoints?: string[] }[];
      };
      // It was started without --rerank, and the model has no tokens for a fill in the middle.
      assert.deepEqual(data[0]?.endpoints, ["tokenize", "detokenize"]);
      for (const model of [{ model: MODEL }, {}]) {
        for (const body of [{ content: "Hello world", with_pieces: true }, { content: "" }]) {
          const direct = await post(server.url, "/tokenize", body);
          assert.deepEqual(await post(url, "/tokenize", { ...model, ...body }), direct);
          assert.equal(direct.status, 200);
        }
        const back = await post(url, "/detokenize", { ...model, tokens: [19556, 905] });
        assert.deepEqual(back, { status: 200, text: '{"content":"Hello world"}' });
      }
      for (const lacking of ["/v1/rerank", "/reranking", "/infill"]) {
        const direct = await post(server.url, lacking, { query: "a", documents: ["b"], input_prefix: "a" });
        assert.equal(direct.status, 501, direct.text);
        const { status, text } = await post(url, lacking, { model: MODEL, query: "a", documents: ["b"] });
        assert.equal(status, 501);
        assert.match(text, /no backend of the model '.*' has (?:rerank|infill)/);
      }
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      const predicted = /^llamacpp:tokens_predicted_total (\d+)/m.exec(metrics)?.[1];
      assert.ok(predicted === undefined || predicted === "0", metrics);
    });
  },
);
