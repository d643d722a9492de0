import { journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { ask } from "./ask.ts";
import { LLAMACPP_DIFFERENCES, LLAMACPP_LEFT_OUT } from "./llamacpp-cases.ts";
import { startLlamacpp } from "./llamacpp-stand-in.ts";
import { recordings } from "./recordings.ts";
import { replay } from "./replay.ts";

/** Cases of a server that was started with a key. */
const WITH_KEY = /^07[6-9]-/;

journey(
  "what was recorded of llama-server, asked of a gateway before it",
  { posts: [], limitMs: 600_000 },
  async (fleet, t) => {
    const chat = await startLlamacpp("chat");
    const vectors = await startLlamacpp("embedding");
    try {
      await fleet.addBareWorker({ SGNET_BACKENDS: `llamacpp+${chat.url},llamacpp+${vectors.url}` });
      await fleet.known("smollm2");
      await fleet.known("embedder");
      const locked = await fleet.addGateway({ SGNET_API_KEY: "sekret" });
      await replay(t, {
        recordings: recordings("llamacpp"),
        leftOut: LLAMACPP_LEFT_OUT,
        deliberate: LLAMACPP_DIFFERENCES,
        ask: async (transcript) => {
          const left = chat.left;
          chat.on = transcript;
          vectors.on = transcript;
          const { url } = WITH_KEY.test(transcript.name) ? locked : fleet.gateway;
          const reply = await ask(transcript, { url });
          if (transcript.left) await until("the client gone from the backend", () => chat.left > left);
          return reply;
        },
      });
    } finally {
      await Promise.all([chat.stop(), vectors.stop()]);
    }
  },
);
