import assert from "node:assert/strict";
import { Asked, assertAnswered } from "../rig/fleet/asked.ts";
import { CuttingLink } from "./cutting-link.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import type { FleetRedis } from "../rig/redis/fleet-redis.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";
import { until } from "../rig/until.ts";

const PROMPT = "the connection breaks over this";

/** A Redis to which gateways have a way that can be cut. */
function behindLink(): {
  readonly redis: (dir: string) => Promise<FleetRedis>;
  readonly link: () => CuttingLink;
} {
  let link: CuttingLink | undefined;
  return {
    redis: async (dir) => {
      const server = await RedisServer.start({ dir });
      const open = await CuttingLink.open(server.port);
      link = open;
      return {
        url: server.url,
        settingsOf: (command) =>
          command === "gateway" ? { REDIS_URL: `redis://127.0.0.1:${open.port}` } : { REDIS_URL: server.url },
        kill: async () => server.kill(),
        startAgain: async (options) => server.startAgain(options),
        stop: async () => {
          await open.close();
          await server.stop();
        },
      };
    },
    link: () => {
      if (link === undefined) throw new Error("no Redis was started");
      return link;
    },
  };
}

async function queueLength({ probe, keys }: Fleet): Promise<number> {
  return Number(await probe.command("XLEN", keys.queue("tiny")));
}

for (const stream of [true, false]) {
  const shape = stream ? "a stream" : "a whole answer";
  const lost = behindLink();
  journey(`${shape} is given when Redis was cut off before it had the task`, lost, async (fleet) => {
    lost.link().cutOnce(PROMPT, "request");
    const asked = new Asked(fleet.gateway, { way: "ollama-chat", stream, tokens: 5, prompt: PROMPT });
    await asked.done;
    assertAnswered(asked);
    assert.equal(lost.link().cuts, 1);
    assert.equal(fleet.post().standIn.requests.length, 1);
  });

  const doubled = behindLink();
  journey(
    `${shape} is given once when Redis was cut off as it told that it has the task`,
    doubled,
    async (fleet) => {
      const { worker } = fleet.post();
      // From now on Redis knows the script: it runs at the first call.
      await new Asked(fleet.gateway, { way: "ollama-chat", stream, tokens: 1 }).done;
      await fleet.settled();
      worker.signal("SIGSTOP");
      doubled.link().cutOnce(PROMPT, "reply");
      const asked = new Asked(fleet.gateway, { way: "ollama-chat", stream, tokens: 5, prompt: PROMPT });
      await until("the task in the queue", async () => (await queueLength(fleet)) === 1);
      doubled.link().cutUnanswered();
      await until("the task twice in the queue", async () => (await queueLength(fleet)) === 2);
      worker.signal("SIGCONT");
      await asked.done;
      assertAnswered(asked);
      await until("an empty queue", async () => (await queueLength(fleet)) === 0);
    },
  );
}
