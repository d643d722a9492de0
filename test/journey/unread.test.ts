import assert from "node:assert/strict";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { asText } from "../../src/redis/connection/resp.ts";
import { LocalServer } from "../rig/local-server.ts";
import { journey } from "../rig/fleet/fleet.ts";
import type { Fleet } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

const MIB = 1024 * 1024;

/** An answer in one piece, larger than any socket on the way. */
const ANSWER = JSON.stringify({
  model: "large",
  message: { role: "assistant", content: "x".repeat(14 * MIB) },
  done: true,
});

const CLIENTS = 8;

function talker(): LocalServer {
  return new LocalServer((request, response) => {
    const { url = "" } = request;
    if (url === "/") response.end("Ollama is running");
    else if (url === "/api/version") response.end('{"version":"0.33.0"}');
    else if (url === "/api/chat") response.end(ANSWER);
    else response.end(`{"models":${url === "/api/tags" ? '[{"name":"large"}]' : "[]"}}`);
  });
}

/** Asks and reads nothing. */
function askAndWait(fleet: Fleet): Socket {
  const { hostname, port } = new URL(fleet.gateway.url);
  const body = '{"model":"large","stream":false,"messages":[{"role":"user","content":"x"}]}';
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  socket.pause();
  socket.write(`POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  return socket;
}

/** The sum of a metric's samples at the gateway. */
async function metric(fleet: Fleet, name: string): Promise<number> {
  const page = await (await fetch(`${fleet.gateway.url}/metrics`)).text();
  const samples = page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"));
  return Array.from(samples, ([, value]) => Number(value)).reduce((sum, value) => sum + value, 0);
}

async function redisPeak(fleet: Fleet): Promise<number> {
  return Number(/^used_memory_peak:(\d+)/m.exec(asText(await fleet.probe.command("INFO", "memory")))?.[1]);
}

journey(
  "clients that ask for much and read nothing fill neither Redis nor the gateway, and shut out no client for long",
  { posts: [], env: { SGNET_MAX_REPLIES_BYTES: String(64 * MIB), SGNET_SLOTS: "32" } },
  async (fleet, t) => {
    const server = talker();
    await server.listen();
    const sockets: Socket[] = [];
    try {
      await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${server.url}` });
      await fleet.known("large");
      for (let index = 0; index < CLIENTS; index += 1) sockets.push(askAndWait(fleet));
      await until(
        "a bound that is reached",
        async () => (await metric(fleet, "sgnet_held_replies_bytes")) > 48 * MIB,
      );
      const refused = await fetch(`${fleet.gateway.url}/api/chat`, {
        method: "POST",
        body: '{"model":"large","messages":[]}',
      });
      assert.equal(refused.status, 503);
      assert.ok(Number(refused.headers.get("retry-after")) >= 1);
      assert.match(await refused.text(), /too many answers wait/);
      await until("room by cuts", async () => (await metric(fleet, "sgnet_replies_cut_total")) > 0);
      assert.ok((await metric(fleet, "sgnet_held_replies_bytes")) <= 96 * MIB);
      // Clients that read are answered as soon as there is room.
      await until("an answer", async () => {
        const asked = await fetch(`${fleet.gateway.url}/api/chat`, {
          method: "POST",
          body: '{"model":"large","stream":false,"messages":[{"role":"user","content":"x"}]}',
        });
        return asked.status === 200 && (await asked.text()).length === ANSWER.length;
      });
      const peak = await redisPeak(fleet);
      t.diagnostic(`Redis had ${Math.round(peak / MIB)} MiB at the most`);
      assert.ok(peak < 300 * MIB, `${peak}`);
    } finally {
      for (const socket of sockets) socket.destroy();
      await server.stop();
    }
  },
);
