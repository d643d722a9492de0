import assert from "node:assert/strict";
import { connect as dial, type Socket } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { LocalTcp } from "../rig/local-tcp.ts";
import { until } from "../rig/until.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";

/** A way to Redis on which more can come than Redis has sent, or something else. */
class Way {
  readonly #server: LocalTcp;
  readonly #clients = new Set<Socket>();
  /** The reply that replaces Redis's answer to a ping. */
  pong = "+PONG\r\n";

  constructor(target: { readonly port: number; readonly host: string }) {
    this.#server = new LocalTcp((client) => {
      const server = dial(target);
      this.#server.watch(server);
      this.#clients.add(client);
      client.pipe(server);
      server.on("data", (bytes: Buffer) => {
        client.write(bytes.toString("latin1").replaceAll("+PONG\r\n", this.pong), "latin1");
      });
      server.on("close", () => client.destroy());
      client.on("close", () => {
        this.#clients.delete(client);
        server.destroy();
      });
    });
  }

  async open(): Promise<string> {
    await this.#server.listen();
    return `redis://127.0.0.1:${this.#server.port}`;
  }

  inject(bytes: string): void {
    for (const client of this.#clients) client.write(bytes);
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }
}

describe("a connection that gets a reply without a command", () => {
  let rig: RedisRig;
  let way: Way;
  let connection: Connection;
  let returns: number;
  let downs: number;
  before(async () => {
    rig = await openRedisRig();
    const { hostname: host, port } = new URL(rig.server.url);
    way = new Way({ host, port: Number(port) });
  });
  const opened = async (url: string): Promise<void> => {
    connection = await connect(url, "test");
    [returns, downs] = [0, 0];
    connection.onReconnect(() => (returns += 1));
    connection.onDown(() => (downs += 1));
  };
  let url: string;
  before(async () => (url = await way.open()));
  afterEach(() => {
    connection.close();
  });
  after(async () => {
    await way.close();
    await rig.close();
  });

  const strays = [":1\r\n", "+OK\r\n", "-ERR odd\r\n", "*0\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n", "!\r\n"];
  for (const stray of strays) {
    it(`is made again, and answers: ${JSON.stringify(stray)}`, async () => {
      await opened(url);
      way.inject(stray);
      await until("its return", () => returns > 0 && connection.ready);
      assert.ok(downs > 0);
      assert.equal(String(await connection.command("ECHO", "words")), "words");
    });

    it(`is made again, and hears: ${JSON.stringify(stray)}`, async () => {
      await opened(url);
      const heard: string[] = [];
      await connection.subscribe("news", (message) => heard.push(message.toString()));
      way.inject(stray);
      await until("its return", () => returns > 0);
      await until("the news", async () => {
        await rig.connection.command("PUBLISH", "news", "words");
        return heard.includes("words");
      });
    });
  }

  it("is back when its pings are answered well again, without being made again", async () => {
    await opened(url);
    way.pong = "-MISCONF the disk is full\r\n";
    await until("a failed ping", () => downs > 0);
    assert.equal(returns, 0);
    way.pong = "+PONG\r\n";
    await until("its return", () => returns === 1);
    assert.equal(String(await connection.command("ECHO", "words")), "words");
  });
});
