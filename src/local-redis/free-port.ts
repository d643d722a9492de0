import { createServer } from "node:net";

/** A TCP port of this address that was free a moment ago. Rejects when the address cannot be used. */
export async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("No TCP port is free.");
  return address.port;
}
