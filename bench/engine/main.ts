/**
 * Process: a simulated engine on a loopback port. Arguments: what differs from the usual engine as JSON (`spec.ts`), the
 * simulated ms per ms (1), the port (a free one). Prints `ready PORT`; ends when its standard input does.
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
