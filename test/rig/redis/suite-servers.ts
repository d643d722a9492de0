import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { connect } from "../../../src/redis/connection/connect.ts";
import type { Connection } from "../../../src/redis/connection/connection.ts";
import type { FleetRedis } from "./fleet-redis.ts";
import { until } from "../until.ts";

/** The channel of a gateway. */
export const CHANNEL = "test:c:{g0}";

/** Several servers for the tests of one suite, and connections to them. */
export class SuiteServers<Rig extends FleetRedis> {
  readonly #open: Connection[] = [];
  #rig: Rig | undefined;

  /** To be called within `describe`: starts them before its tests, and stops them after. */
  constructor(start: (dir: string) => Promise<Rig>) {
    let dir = "";
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), "sgnet-many-"));
      this.#rig = await start(dir);
    });
    after(async () => {
      for (const connection of this.#open) connection.close();
      await this.#rig?.stop();
      await rm(dir, { recursive: true, force: true });
    });
  }

  get rig(): Rig {
    if (this.#rig === undefined) throw new Error("they are not started");
    return this.#rig;
  }

  async connect(): Promise<Connection> {
    const connection = await connect(this.rig.url, "test");
    this.#open.push(connection);
    return connection;
  }

  /** Messages of {@link CHANNEL}, as they come. */
  async listen(): Promise<readonly string[]> {
    const messages: string[] = [];
    await (await this.connect()).subscribe(CHANNEL, (message) => messages.push(message.toString()));
    return messages;
  }

  /**
   * Checks that a connection is down while a master is lost, and that no other can be made. Afterwards it is up with
   * another master, which it reports once. Subscriptions go on.
   * @param kill takes the master of {@link CHANNEL} away
   * @param meanwhile checks while it is down
   */
  async survives(
    kill: () => Promise<void>,
    meanwhile?: (connection: Connection) => Promise<void>,
  ): Promise<void> {
    const connection = await this.connect();
    const messages = await this.listen();
    const events: string[] = [];
    connection.onDown(() => events.push("down"));
    connection.onReconnect((moved) => events.push(moved ? "moved" : "up"));
    await kill();
    await until("down", () => !connection.ready);
    await assert.rejects(connection.command("SET", CHANNEL, "1"), { code: "redis_down" });
    await meanwhile?.(connection);
    await assert.rejects(connect(this.rig.url, "early"), { code: "redis_down" });
    await until("up", () => connection.ready);
    assert.deepEqual(
      [events.at(0), events.indexOf("moved"), events.indexOf("up")],
      ["down", events.length - 1, -1],
    );
    await connection.command("SET", CHANNEL, "1");
    await heard(connection, messages);
  }
}

/** Sends until it is heard. */
export async function heard(from: Connection, messages: readonly string[]): Promise<void> {
  const count = messages.length;
  const publish = from.sharded ? "SPUBLISH" : "PUBLISH";
  await until("a message", async () => {
    await from.command(publish, CHANNEL, "news").catch(() => undefined);
    return messages.length > count;
  });
}

/** Notes each reconnect of a connection: true for another server. */
export function movesOf(connection: Connection): readonly boolean[] {
  const moves: boolean[] = [];
  connection.onReconnect((moved) => moves.push(moved));
  return moves;
}
