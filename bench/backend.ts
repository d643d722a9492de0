/**
 * Process: the simulated backend on the loopback port of its argument, a free one without. Prints `ready PORT`; ends when
 * its standard input does. Its models are in `profiles.ts`; `POST /sim/log` with rules (`sim-log.ts`), such as
 * `{"firstMs":200,"gapMs":50,"tokens":30,"slots":4}` or `{"status":500}`, changes how it answers from then on.
 */
import type { AddressInfo } from "node:net";
import { simServer } from "./sim-server.ts";

const server = simServer();
server.listen({ port: Number(process.argv[2] ?? 0), host: "127.0.0.1", backlog: 8192 }, () => {
  process.stdout.write(`ready ${(server.address() as AddressInfo).port}\n`);
});
process.stdin.resume().on("end", () => process.exit(0));
