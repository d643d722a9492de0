import { createServer } from "node:net";

/** Below those that systems give to outgoing connections: Linux begins at 32,768, others at 49,152. */
const FROM = 12_000;
const TO = 32_000;

/** Never twice by this process: two servers that are about to start would find the same one free. */
const given = new Set<number>();

/**
 * A free port of loopback that a server keeps when it is stopped and started again. No outgoing connection takes it
 * meanwhile, as happens to a port that the system chose.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FROM + Math.floor(Math.random() * (TO - FROM));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => {
      resolve(false);
    });
    server.listen(port, "127.0.0.1", () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
