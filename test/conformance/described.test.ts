import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Json, JsonObject } from "../../src/core/json.ts";
import type { AgentFixture } from "../agents/fixture.ts";
import { type Fleet, journey, sharedFleet } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import type { Transcript } from "../rig/transcript.ts";
import { ask } from "./ask.ts";
import type { Reply } from "./compare.ts";
import { Description } from "./description.ts";
import { startLlamacpp } from "./llamacpp-stand-in.ts";
import { startOllama } from "./ollama-stand-in.ts";
import type { RecordedServer } from "./recorded-server.ts";
import { recordings, requestOf, type Server } from "./recordings.ts";

/** Everything that was recorded goes through a gateway once more, and is held to what the gateway says of itself. */

const ADMIN = "admin-of-this-test";
/** HTTP/1.0, a server with a key of its own, a slash that Ollama's router answers, and servers that were full. */
const ELSEWHERE = /^(?:254|07[678]|009|40[1-7]-busy)/;

const descriptions = new Map<string, Description>();

/** The description that a gateway gives of itself. All tests share its compiled schemas. */
async function describedBy(fleet: Fleet): Promise<Description> {
  const text = await (await fetch(`${fleet.gateway.url}/openapi.json`)).text();
  const known = descriptions.get(text) ?? new Description(JSON.parse(text) as JsonObject);
  descriptions.set(text, known);
  return known;
}

function jsonOf(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Counts of a replay. */
interface Tally {
  replies: number;
  bodies: number;
  /** Bodies that the gateway refused, and the schema, too. */
  refused: number;
}

interface Asked {
  readonly transcript: Transcript;
  readonly reply: Reply;
}

/** Differences of one exchange from its description. */
function problemsOf(description: Description, { transcript, reply }: Asked, tally: Tally): readonly string[] {
  const found = description.find(transcript.method, transcript.path);
  if (found === undefined) {
    return reply.status === 404 || reply.status === 405 || reply.status === 204 || reply.status === 403
      ? []
      : [`${transcript.method} ${transcript.path} is not described, and gets ${reply.status}`];
  }
  tally.replies += 1;
  const told = description.problemsOfReply(found, reply).map((problem) => `reply: ${problem}`);
  const body = jsonOf(requestOf(transcript));
  if (body === undefined || found.operation["requestBody"] === undefined) return told;
  const wrong = description.problemsOfBody(found, body);
  if (reply.status < 300) tally.bodies += 1;
  if (reply.status === 400 && wrong.length > 0) tally.refused += 1;
  return reply.status < 300 ? [...told, ...wrong.map((problem) => `request: ${problem}`)] : told;
}

async function hold(
  t: TestContext,
  fleet: Fleet,
  { server, backends }: { readonly server: Server; readonly backends: readonly RecordedServer[] },
): Promise<Tally> {
  const description = await describedBy(fleet);
  const tally = { replies: 0, bodies: 0, refused: 0 };
  const headers = { authorization: `Bearer ${ADMIN}` };
  for (const transcript of recordings(server).filter(({ name }) => !ELSEWHERE.test(name))) {
    await t.test(transcript.name, async () => {
      const left = backends[0]?.left ?? 0;
      for (const backend of backends) backend.on = transcript;
      const reply = await ask(transcript, { url: fleet.gateway.url, headers });
      if (transcript.left)
        await until("the client gone from the backend", () => (backends[0]?.left ?? 0) > left);
      assert.deepEqual(problemsOf(description, { transcript, reply }, tally), []);
    });
  }
  t.diagnostic(JSON.stringify(tally));
  return tally;
}

const PLAN = { posts: [], env: { SGNET_ADMIN_KEY: ADMIN }, limitMs: 300_000 };
const recorded = sharedFleet(PLAN);

recorded("what was recorded of Ollama is as described", async (fleet, t) => {
  const server = await startOllama();
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${server.url}` });
    await fleet.known("smollm2");
    const { replies, bodies, refused } = await hold(t, fleet, { server: "ollama", backends: [server] });
    assert.ok(replies > 200 && bodies > 100 && refused > 20);
  } finally {
    await server.stop();
  }
});

recorded("what was recorded of llama-server is as described", async (fleet, t) => {
  const backends = [await startLlamacpp("chat"), await startLlamacpp("embedding")];
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: backends.map(({ url }) => `llamacpp+${url}`).join() });
    await fleet.known("smollm2");
    await fleet.known("embedder");
    const { replies, bodies, refused } = await hold(t, fleet, { server: "llamacpp", backends });
    assert.ok(replies > 40 && bodies > 30 && refused > 3);
  } finally {
    await Promise.all(backends.map((backend) => backend.stop()));
  }
});

journey("what agents send is as described, and so are the answers", { env: PLAN.env }, async (fleet, t) => {
  const description = await describedBy(fleet);
  const folder = join(import.meta.dirname, "../fixtures/agents");
  const fixtures = readdirSync(folder).map(
    (file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as AgentFixture,
  );
  for (const { client, requests } of fixtures) {
    await t.test(client, async () => {
      for (const { path, body } of requests) {
        const found = description.find("POST", path);
        assert.ok(found !== undefined, path);
        assert.deepEqual(description.problemsOfBody(found, body as JsonObject), []);
        const sent = { method: "POST", body: JSON.stringify({ ...body, model: "tiny" }) };
        const reply = await fetch(fleet.gateway.url + path, sent);
        const headers = new Map(reply.headers);
        const told = { status: reply.status, headers, body: await reply.text() };
        assert.deepEqual([told.status, description.problemsOfReply(found, told)], [200, []]);
      }
    });
  }
});
