/**
 * Process: a simulated engine on a loopback port. It prints `ready PORT` and ends with its standard input. Arguments:
 * - JSON with the differences from the usual engine (`spec.ts`),
 * - simulated ms per ms (default 1),
 * - port (default: a free one).
 */
import type { AddressInfo } from "node:net";
import { engineServer } from "./http.ts";
import { USUAL_ENGINE } from "./spec.ts";
import type { EngineSpec } from "./spec.ts";

const [change = "{}", speed = "1", port = "0"] = process.argv.slice(2);
const spec: EngineSpec = { ...USUAL_ENGINE, ...(JSON.parse(change) as Partial<EngineSpec>) };
const { server } = engineServer(spec, Number(speed));
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 }, () => {
  process.stdout.write(`ready ${(server.address() as AddressInfo).port}\n`);
});
process.stdin.resume().on("end", () => process.exit(0));
