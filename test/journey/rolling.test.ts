import assert from "node:assert/strict";
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { asArray, asText } from "../../src/redis/connection/resp.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";

/** One request on a connection of its own. */
async function askOnce(gateway: Program, stream: boolean): Promise<{ status: number; text: string }> {
  const messages = [{ role: "user", content: "hello" }];
  const body = JSON.stringify({ model: MODEL, stream, messages, options: { num_predict: 6 } });
  return new Promise((resolve, reject) => {
    const asked = request(`${gateway.url}/api/chat`, { method: "POST", agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("error", reject).on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on("error", reject).end(body);
  });
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}

/** Pause of a client between two requests, ms: starting processes need the processors, too. */
const PAUSE_MS = 20;

/** Sends requests again and again, to another gateway when nothing listens. Every answer must be whole. */
class Client {
  readonly #fleet: Fleet;
  readonly #run: Promise<void>;
  answers = 0;
  #over = false;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#run = this.#askOn();
    this.#run.catch(() => undefined);
  }

  /** Rejects when a request was lost. */
  async stop(): Promise<void> {
    this.#over = true;
    await this.#run;
  }

  async #askOn(): Promise<void> {
    while (!this.#over) {
      const { status, text } = await this.#ask(this.answers % 2 === 0);
      assert.equal(status, 200, text);
      assert.match(text, /"done":true/);
      this.answers += 1;
      await delay(PAUSE_MS);
    }
  }

  async #ask(stream: boolean): Promise<{ status: number; text: string }> {
    for (const gateway of this.#fleet.gateways.toReversed()) {
      try {
        return await askOnce(gateway, stream);
      } catch (error) {
        if (!isRefused(error)) throw error;
      }
    }
    throw new Error("no gateway listens");
  }
}

/** Resolves when each client has had so many more answers. */
async function served(clients: readonly Client[], more: number): Promise<void> {
  const wanted = clients.map(({ answers }) => answers + more);
  await until("more answers", () => clients.every(({ answers }, index) => answers >= (wanted[index] ?? 0)));
}

async function retire(program: Program): Promise<void> {
  program.signal("SIGTERM");
  assert.equal(await program.exited, 0);
}

journey(
  "a rolling restart of every process under load loses nothing",
  { gateways: 2, posts: [{ tokenMs: 5 }, { tokenMs: 5 }], env: { SGNET_DRAIN_GRACE_MS: "100" } },
  async (fleet) => {
    const clients = Array.from({ length: 8 }, () => new Client(fleet));
    await served(clients, 2);
    for (const { worker, standIn } of fleet.posts.slice()) {
      await fleet.addWorker(standIn);
      await retire(worker);
      await served(clients, 2);
    }
    for (const gateway of fleet.gateways.slice()) {
      await retire(gateway);
      await served(clients, 2);
      fleet.gateways.splice(fleet.gateways.indexOf(gateway), 1);
      await fleet.addGateway();
      await fleet.known();
      await served(clients, 2);
    }
    for (const client of clients) await client.stop();
  },
);

journey(
  "a gateway that is about to stop says so first, and serves who still comes",
  { env: { SGNET_DRAIN_GRACE_MS: "8000" } },
  async (fleet) => {
    fleet.gateway.signal("SIGTERM");
    await until("a gateway that is not ready", async () => {
      return (await fetch(`${fleet.gateway.url}/readyz`)).status === 503;
    });
    assert.equal((await askOnce(fleet.gateway, true)).status, 200);
    assert.equal(await fleet.gateway.exited, 0);
  },
);

journey("what a killed gateway leaves in Redis is removed", { gateways: 2 }, async (fleet) => {
  const { standIn } = fleet.post();
  standIn.behaviour.tokenMs = 20;
  const [doomed] = fleet.gateways;
  assert.ok(doomed !== undefined);
  const tag = /"gateway is ready".*"tag":"(\w+)"/.exec(doomed.story)?.[1] ?? "";
  const messages = [{ role: "user", content: "x".repeat(200_000) }];
  const large = JSON.stringify({ model: MODEL, messages, options: { num_predict: 2000 } });
  const lost = fetch(`${doomed.url}/api/chat`, { method: "POST", body: large }).then((reply) => reply.text());
  lost.catch(() => undefined);
  await standIn.waitFor("request");
  const left = async (): Promise<string[]> =>
    asArray(await fleet.probe.command("KEYS", `sgnet:[rb]:{${tag}}*`)).map(asText);
  assert.equal((await left()).length, 2);
  await doomed.kill();
  await assert.rejects(lost);
  await fleet.probe.command("PEXPIRE", fleet.keys.gateway(tag), "1");
  await standIn.waitFor("aborted");
  await until("an empty Redis", async () => (await left()).length === 0);
});
