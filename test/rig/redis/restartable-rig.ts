import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before } from "node:test";
import { connect } from "../../../src/redis/connection/connect.ts";
import type { Connection } from "../../../src/redis/connection/connection.ts";
import { RedisServer } from "./redis-server.ts";

/** A server that the tests of one `describe` kill and start again. */
export interface RestartableRig {
  readonly server: RedisServer;
  /** Closed at the end of the test. */
  readonly opened: () => Promise<Connection>;
}

/** A server for the tests of one `describe`, from its first test on. @param args options of the server */
export function restartableRig(args: string): RestartableRig {
  const dir = mkdtempSync(join(tmpdir(), "sgnet-bare-"));
  const open: Connection[] = [];
  let server: RedisServer | undefined;
  const started = (): RedisServer => {
    if (server === undefined) throw new Error("no test has begun");
    return server;
  };
  before(async () => {
    server = await RedisServer.start({ dir, args: args.split(" ") });
  });
  afterEach(() => {
    for (const connection of open.splice(0)) connection.close();
  });
  after(async () => {
    await server?.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    get server() {
      return started();
    },
    opened: async () => {
      const connection = await connect(started().url, "test");
      open.push(connection);
      return connection;
    },
  };
}
