import { runCommand } from "../rig/command.ts";
import { askAll, allDone, WAYS } from "../rig/fleet/asked.ts";
import { Fleet } from "../rig/fleet/fleet.ts";

// Has a gateway, a worker and a command do a little of everything and end by themselves: Node keeps what they compiled.
const fleet = await Fleet.start({});
try {
  const asked = [true, false].flatMap((stream) => askAll(fleet.gateway, WAYS, { stream, tokens: 20 }));
  await allDone(asked);
  const options = { cwd: fleet.folder, env: { REDIS_URL: fleet.redisUrl } };
  await Promise.all(["status", "top", "dead"].map(async (command) => runCommand([command], options)));
  const { worker } = fleet.post();
  for (const program of [fleet.gateway, worker]) program.signal("SIGTERM");
  await Promise.all([fleet.gateway.exited, worker.exited]);
} finally {
  await fleet.stop();
}
