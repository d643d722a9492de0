import { spawnSync } from "node:child_process";
import { join } from "node:path";

/**
 * Compiles the product once for all processes of a run, and gives the folder for NODE_COMPILE_CACHE. Node writes this
 * cache when a process ends by itself, and journeys end theirs with SIGKILL: each of them would compile everything
 * again, in 0.8 s of processor time instead of 0.4. Tells why when it cannot: the tests only take longer then.
 */
export function warmCompileCache(root: string): string {
  const folder = join(root, "node_modules/.cache/compiled");
  const { status, stderr } = spawnSync(process.execPath, [join(root, "test/suite/warm.ts")], {
    env: { ...process.env, NODE_COMPILE_CACHE: folder },
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
  });
  if (status !== 0) process.stderr.write(`Nothing was compiled beforehand: ${stderr}\n`);
  return folder;
}
