import type { TestContext } from "node:test";
import { LocalServer } from "./local-server.ts";

/** A port of loopback that a server holds until the end of the test. */
export async function takenPort(t: Pick<TestContext, "after">): Promise<number> {
  const server = await LocalServer.forTest(t, (_request, response) => response.end());
  return server.port;
}
