/**
 * Lists the files and functions that one streamed request passes in a real gateway and a real worker:
 *
 *     node bench/journey/run.ts [--path /v1/chat/completions] [--checkout FOLDER] [--totals]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Children } from "../children.ts";
import type { Child } from "../children.ts";
import { fetchText, freePort, startRedis } from "../legs.ts";
import { Inspector } from "./inspector.ts";
import { reportOf, totalsOf } from "./report.ts";
import { MODEL, SteppedBackend } from "./stepped-backend.ts";
import { walk } from "./walk.ts";
import type { Fleet } from "./walk.ts";

const { values } = parseArgs({
  options: {
    path: { type: "string", default: "/v1/chat/completions" },
    checkout: { type: "string", default: path.join(import.meta.dirname, "../..") },
    totals: { type: "boolean", default: false },
  },
});
const checkout = path.resolve(values.checkout);
const folder = mkdtempSync(path.join(tmpdir(), "sgnet-journey-"));
const children = new Children();
const backend = new SteppedBackend();

try {
  const its = await walk(await startFleet(), values.path);
  console.log(values.totals ? JSON.stringify(totalsOf(its)) : reportOf(values.path, its));
} finally {
  await children.stopAll();
  backend.close();
  rmSync(folder, { recursive: true });
}

async function startFleet(): Promise<Fleet> {
  const redisPort = await freePort();
  await startRedis({ children, folder }, redisPort);
  const port = await freePort();
  const env = {
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    PORT: String(port),
    SGNET_BACKENDS: `openai+http://127.0.0.1:${await backend.listen()}`,
    SGNET_LOG_LEVEL: "warn",
  };
  const worker = await startInspected("worker", env);
  const gateway = await startInspected("gateway", env);
  await gateway.child.until(async () => {
    return (await fetchText(port, "/api/tags"))?.includes(MODEL) === true || undefined;
  });
  return {
    port,
    backend,
    processes: { gateway: await inspectorOf(gateway), worker: await inspectorOf(worker) },
  };
}

interface Inspected {
  readonly child: Child;
  /** The inspector's. */
  readonly port: number;
}

/** The inspector's port is in the environment, since the program starts itself again with flags of its own. */
async function startInspected(role: "gateway" | "worker", env: NodeJS.ProcessEnv): Promise<Inspected> {
  const port = await freePort();
  const child = children.start({
    role,
    command: process.execPath,
    args: [path.join(checkout, "src/cli.ts"), role],
    cwd: folder,
    env: { ...process.env, ...env, NODE_OPTIONS: `--inspect=127.0.0.1:${port}` },
  });
  return { child, port };
}

async function inspectorOf({ child, port }: Inspected): Promise<Inspector> {
  const source = `${pathToFileURL(path.join(checkout, "src")).href}/`;
  return await child.until(() => Inspector.open(port, source));
}
