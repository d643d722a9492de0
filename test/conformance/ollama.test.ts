import assert from "node:assert/strict";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { ask, askHttp10, recordedReply } from "./ask.ts";
import { differences, type Reply } from "./compare.ts";
import { OLLAMA_DIFFERENCES, OLLAMA_LEFT_OUT, OPENAI_CODES } from "./ollama-cases.ts";
import { startOllama } from "./ollama-stand-in.ts";
import type { Transcript } from "../rig/transcript.ts";
import type { RecordedServer } from "./recorded-server.ts";
import { recording, recordings } from "./recordings.ts";
import { replay } from "./replay.ts";

const ENV = {
  SGNET_ADMIN_KEY: "admin-of-this-test",
  // As the recorded server had them for its last cases.
  SGNET_ORIGINS: "https://app.example.com,https://*.example.org",
};
/** Requests that need the admin's key here. Ollama takes them without a key. */
const ORDER = /^\/api\/(?:copy|delete|create|blobs|pull|push)/;

/**
 * A redirect of Ollama's own router, which no backend is asked for here: behind the gateway's path is what Ollama has
 * there. The recorded client was sent there with the same request.
 */
const REDIRECTED = "009-";
const SAME_WITHOUT_SLASH = recording("ollama", "093");

/** Recorded while Ollama was full. */
const BUSY = /^40[1-7]-busy/;
const busy = recordings("ollama").filter(({ name }) => BUSY.test(name));
const others = recordings("ollama").filter(({ name }) => !BUSY.test(name));

/** Sends a recorded request to the gateway before the recorded server. */
async function askAgain(fleet: Fleet, server: RecordedServer, transcript: Transcript): Promise<Reply> {
  const { left } = server;
  server.on = transcript.name.startsWith(REDIRECTED) ? SAME_WITHOUT_SLASH : transcript;
  const isOrder = ORDER.test(transcript.path);
  const headers = isOrder ? { authorization: `Bearer ${ENV.SGNET_ADMIN_KEY}` } : {};
  const send = transcript.name.startsWith("254-") ? askHttp10 : ask;
  const reply = await send(transcript, { url: fleet.gateway.url, headers });
  if (transcript.left) await until("the client gone from the backend", () => server.left > left);
  return reply;
}

/** Starts the recorded server and a worker with these settings beside it. */
async function withOllama(
  fleet: Fleet,
  settings: Readonly<Record<string, string>>,
  work: (server: RecordedServer) => Promise<void>,
): Promise<void> {
  const server = await startOllama();
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${server.url}`, ...settings });
    await fleet.known("smollm2");
    await work(server);
  } finally {
    await server.stop();
  }
}

const PLAN = { posts: [], env: ENV, limitMs: 300_000 };

journey("what was recorded of Ollama, asked of a gateway before it", PLAN, async (fleet, t) => {
  await withOllama(fleet, {}, async (server) => {
    await replay(t, {
      recordings: others,
      leftOut: OLLAMA_LEFT_OUT,
      deliberate: OLLAMA_DIFFERENCES,
      ask: (transcript) => askAgain(fleet, server, transcript),
    });
    await t.test("a slash too many is answered as where Ollama's redirect leads", async () => {
      const reply = await askAgain(fleet, server, recording("ollama", REDIRECTED));
      assert.deepEqual(differences(reply, recordedReply(SAME_WITHOUT_SLASH)), []);
    });
  });
});

/** Otherwise a request waits for a lone backend that is busy, for a minute in the end. */
const AT_ONCE = { SGNET_BUSY_LIMIT: "1" };

journey("what Ollama says when it is full is told as it says it", PLAN, async (fleet, t) => {
  await withOllama(fleet, AT_ONCE, async (server) => {
    await replay(t, {
      recordings: busy,
      leftOut: [],
      deliberate: [OPENAI_CODES],
      ask: (transcript) => askAgain(fleet, server, transcript),
    });
  });
});
