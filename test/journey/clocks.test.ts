import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { RedisHost } from "../chaos/redis-host.ts";
import { buildClock } from "../chaos/tools.ts";
import { WallClock } from "../chaos/wall-clock.ts";
import { allDone, askAll, assertAnswered, WAYS } from "../rig/fleet/asked.ts";
import { type Fleet, type FleetPlan, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

const MINUTES = 60_000;

/** Minutes by which the clock of each process is ahead. */
interface Skew {
  readonly gateway: number;
  readonly worker: number;
  readonly redis: number;
}

const SKEWS: readonly Skew[] = [
  { gateway: 0, worker: 5, redis: -5 },
  { gateway: -5, worker: 0, redis: 5 },
  { gateway: 5, worker: -5, redis: 0 },
];

type Clocks = Readonly<Record<keyof Skew, WallClock>>;

function set(clocks: Clocks, skew: Skew): void {
  for (const who of ["gateway", "worker", "redis"] as const) clocks[who].set(skew[who] * MINUTES);
}

const folder = mkdtempSync(join(tmpdir(), "sgnet-clocks-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const library = await buildClock(join(folder, "clock.so"));

/** A fleet in which the gateway, the worker and Redis have a clock each. */
function fleetWith(clocks: Clocks, env: Readonly<Record<string, string>>): FleetPlan {
  const redis: FleetPlan["redis"] = async (dir) => {
    const host = await RedisHost.start(dir, clocks.redis);
    return {
      url: host.url,
      settingsOf: (command) => clocks[command].env,
      kill: () => host.kill(),
      startAgain: (options) => host.startAgain(options),
      stop: () => host.stop(),
    };
  };
  return { redis, env, posts: [{ slots: 8 }] };
}

async function assertServes(fleet: Fleet): Promise<void> {
  const { standIn } = fleet.post();
  const before = standIn.requests.length;
  const asked = [
    ...askAll(fleet.gateway, WAYS, { stream: true, tokens: 20 }),
    ...askAll(fleet.gateway, WAYS, { stream: false, tokens: 20 }),
  ];
  await allDone(asked);
  for (const one of asked) assertAnswered(one);
  assert.equal(standIn.requests.length - before, asked.length, "no task ran twice");
}

function clocksOf(name: string, file: string): Clocks {
  const clock = (who: string): WallClock => new WallClock(file, join(folder, `${name}-${who}`));
  return { gateway: clock("gateway"), worker: clock("worker"), redis: clock("redis") };
}

/** Far shorter than the clocks are apart. */
const SHORT = { SGNET_TASK_TIMEOUT_MS: "20000", SGNET_QUEUE_TIMEOUT_MS: "10000" };

function tell({ gateway, worker, redis }: Skew): string {
  return `gateway ${gateway}, worker ${worker}, Redis ${redis} minutes ahead`;
}

if (library === undefined)
  test("clocks that differ", { skip: "there is no C compiler, or no Linux" }, () => {});
else {
  for (const [index, skew] of SKEWS.entries()) {
    const clocks = clocksOf(`skew-${index}`, library);
    set(clocks, skew);
    journey(`clocks that differ cost nothing: ${tell(skew)}`, fleetWith(clocks, SHORT), assertServes);
  }

  for (const [index, skew] of SKEWS.entries()) {
    const clocks = clocksOf(`jump-${index}`, library);
    journey(`clocks that are set cost no request: ${tell(skew)}`, fleetWith(clocks, {}), async (fleet) => {
      const { standIn } = fleet.post();
      standIn.behaviour.tokenMs = 20;
      const streams = askAll(fleet.gateway, WAYS, { stream: true, tokens: 100 });
      const whole = askAll(fleet.gateway, WAYS, { stream: false, tokens: 100 });
      await until("tokens", () => streams.every((one) => one.tokens > 5));
      set(clocks, skew);
      await allDone([...streams, ...whole]);
      for (const one of [...streams, ...whole]) assertAnswered(one);
      assert.equal(standIn.requests.length, streams.length + whole.length, "no task ran twice");
      standIn.behaviour.tokenMs = 0;
      await assertServes(fleet);
    });
  }
}
