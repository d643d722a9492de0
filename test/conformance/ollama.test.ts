import { journey } from "../journey/fleet.ts";
import { until } from "../journey/until.ts";
import { ask, askHttp10 } from "./ask.ts";
import { OLLAMA_DIFFERENCES, OLLAMA_LEFT_OUT } from "./ollama-cases.ts";
import { startOllama } from "./ollama-stand-in.ts";
import { recordings } from "./recordings.ts";
import { replay } from "./replay.ts";

const ENV = {
  SGNET_ADMIN_KEY: "admin-of-this-test",
  // As the recorded server had them for its last cases.
  SGNET_ORIGINS: "https://app.example.com,https://*.example.org",
};
/** Orders that only admins may give; Ollama asks nobody. */
const ORDER = /^\/api\/(?:copy|delete|create|blobs|pull|push)/;

journey(
  "what was recorded of Ollama, asked of a gateway before it",
  { posts: [], env: ENV, limitMs: 300_000 },
  async (fleet, t) => {
    const server = await startOllama();
    const { url } = fleet.gateway;
    try {
      await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${server.url}`, SGNET_BUSY_LIMIT: "1" });
      await fleet.known("smollm2");
      await replay(t, {
        recordings: recordings("ollama"),
        leftOut: OLLAMA_LEFT_OUT,
        deliberate: OLLAMA_DIFFERENCES,
        ask: async (transcript) => {
          const left = server.left;
          server.on = transcript;
          const isOrder = ORDER.test(transcript.path);
          const headers = isOrder ? { authorization: `Bearer ${ENV.SGNET_ADMIN_KEY}` } : {};
          const send = transcript.name.startsWith("254-") ? askHttp10 : ask;
          const reply = await send(transcript, { url, headers });
          if (transcript.left) await until("the client gone from the backend", () => server.left > left);
          return reply;
        },
      });
    } finally {
      await server.stop();
    }
  },
);
