import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before } from "node:test";
import { connect } from "../../src/redis/connect.ts";
import type { Connection } from "../../src/redis/connection.ts";
import { BareServer } from "./bare-server.ts";

/** A server that the tests of one `describe` kill and start again. */
export interface BareRig {
  readonly server: BareServer;
  /** Closed at the end of the test. */
  readonly opened: () => Promise<Connection>;
}

/** @param args of the server. To be called in a `describe`; the server is there from its first test on */
export function bareRig(args: string): BareRig {
  const dir = mkdtempSync(join(tmpdir(), "sgnet-bare-"));
  const open: Connection[] = [];
  let server: BareServer | undefined;
  const started = (): BareServer => {
    if (server === undefined) throw new Error("no test has begun");
    return server;
  };
  before(async () => {
    server = await BareServer.start({ dir, args: args.split(" ") });
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
