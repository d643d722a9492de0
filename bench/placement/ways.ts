/** The ways to a simulated engine that are compared, each with an engine of its own. */
import type { Child } from "../children.ts";
import type { EngineCounters } from "../engine/counters.ts";
import type { EngineSpec } from "../engine/spec.ts";
import { fetchText, freePort, startRedis, startScript, startService } from "../legs.ts";
import type { LegContext } from "../legs.ts";
import { askRedis } from "../redis-wire.ts";

/** `direct`: to the engine; `first come`: through a gateway that places nothing; `placed`: through one with its defaults. */
export type WayName = "direct" | "first come" | "placed";

export const WAYS: readonly WayName[] = ["direct", "first come", "placed"];

/** A way that is ready. */
export interface Way {
  readonly name: WayName;
  readonly port: number;
  /** Its processes, the engine among them. */
  readonly pids: readonly number[];
  /** Resolves with the counters of its engine so far. */
  counters(): Promise<EngineCounters>;
  stop(): Promise<void>;
}

/** Settings of a way's gateway and worker that differ from the defaults; shown in the report. */
export function settingsOf(way: WayName): Readonly<Record<string, string>> {
  return { SGNET_LOG_LEVEL: "warn", ...(way === "first come" ? { SGNET_PLACEMENT: "off" } : {}) };
}

/** Starts the processes of a way and waits until it answers. Throws when one does not start. */
export async function startWay(name: WayName, context: LegContext, spec: EngineSpec): Promise<Way> {
  const engine = startScript(context, "engine", ["engine/main.ts", JSON.stringify(spec)]);
  const enginePort = await engine.readyPort();
  const started = name === "direct" ? undefined : await startGateway(name, context, { spec, enginePort });
  const children = [...(started?.children ?? []), engine];
  return {
    name,
    port: started?.port ?? enginePort,
    pids: children.map(({ pid }) => pid),
    counters: async () => {
      const text = await fetchText(enginePort, "/sim/counters");
      if (text === undefined) throw engine.failure("does not tell its counters");
      return JSON.parse(text) as EngineCounters;
    },
    stop: async () => {
      for (const child of children) {
        await child.stop();
        context.children.forget(child);
      }
    },
  };
}

interface Behind {
  readonly spec: EngineSpec;
  readonly enginePort: number;
}

interface StartedGateway {
  readonly port: number;
  readonly children: readonly Child[];
}

async function startGateway(
  name: WayName,
  context: LegContext,
  { spec, enginePort }: Behind,
): Promise<StartedGateway> {
  const redisPort = await freePort();
  const redis = await startRedis(context, redisPort);
  const env = { ...settingsOf(name), REDIS_URL: `redis://127.0.0.1:${redisPort}` };
  const port = await freePort();
  const gateway = startService(context, `${name}: gateway`, "gateway", { ...env, PORT: String(port) });
  const worker = startService(context, `${name}: worker`, "worker", {
    ...env,
    SGNET_BACKENDS: `ollama+http://127.0.0.1:${enginePort}`,
  });
  await gateway.until(async () => (await fetchText(port, "/readyz")) !== undefined || undefined);
  await worker.until(async () => {
    if ((await askRedis(redisPort, "ZCARD", "sgnet:wks")) !== "1") return undefined;
    const tags = (await fetchText(port, "/api/tags")) ?? "";
    return spec.models.every((model) => tags.includes(`"${model.name}"`)) || undefined;
  });
  return { port, children: [worker, gateway, redis] };
}
