import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import { Supervised } from "../../src/commands/supervised.ts";
import type { ProcessRun } from "../../src/commands/supervised.ts";
import { openLog } from "../../src/telemetry/log.ts";

class ScriptedRun implements ProcessRun {
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<void>();
  readonly ready: Promise<void> = this.#ready.promise;
  readonly exited: Promise<void> = this.#exited.promise;
  stops = 0;
  kills = 0;

  begin(): void {
    this.#ready.resolve();
  }

  end(problem = "it ended"): void {
    this.#ready.reject(new Error(problem));
    this.#exited.resolve();
  }

  async stop(): Promise<void> {
    this.stops += 1;
    this.end();
  }

  kill(): void {
    this.kills += 1;
    this.end();
  }
}

/** Something supervised whose runs the test scripts; `next` waits for the run with this number, from 1. */
function supervise(firstDelayMs = 1) {
  const runs: ScriptedRun[] = [];
  const lines: string[] = [];
  const launched = new EventEmitter();
  const launch = (): ProcessRun => {
    const run = new ScriptedRun();
    runs.push(run);
    launched.emit("run");
    return run;
  };
  const log = openLog({ level: "error", format: "json", write: (line) => lines.push(line) });
  const supervised = new Supervised({ name: "thing", launch, log, firstDelayMs });
  const next = async (number: number): Promise<ScriptedRun> => {
    for (;;) {
      const run = runs[number - 1];
      if (run !== undefined) return run;
      await once(launched, "run");
    }
  };
  return { supervised, runs, lines, next };
}

describe("something supervised", () => {
  it("has started when its first run is ready", async () => {
    const { supervised, next, runs } = supervise();
    const started = supervised.start();
    (await next(1)).begin();
    await started;
    await supervised.stop();
    assert.equal(runs.length, 1);
    assert.equal(runs[0]?.stops, 1);
  });

  it("is not tried again when its first run fails", async () => {
    const { supervised, next, runs } = supervise();
    const started = supervised.start();
    (await next(1)).end("no port");
    await assert.rejects(started, /no port/);
    await supervised.stop();
    assert.equal(runs.length, 1);
  });

  it("is started again whenever it ends, also when a later start fails, and says why", async () => {
    const { supervised, next, lines } = supervise();
    const started = supervised.start();
    const first = await next(1);
    first.begin();
    await started;
    first.end();
    (await next(2)).end("port taken");
    const third = await next(3);
    third.begin();
    await supervised.stop();
    assert.equal(third.stops, 1);
    const messages = lines.map(
      (line) => JSON.parse(line) as { message: string; reason?: string; delayMs?: number },
    );
    assert.deepEqual(
      messages.map(({ message, reason, delayMs }) => [message, reason ?? delayMs]),
      [
        ["thing ended by itself: it is started again", 1],
        ["thing did not start", "port taken"],
        ["thing ended by itself: it is started again", 2],
      ],
    );
  });

  it("is not started again after a stop, even when it waits for its next start", async () => {
    const { supervised, next, runs } = supervise(3_600_000);
    const started = supervised.start();
    const first = await next(1);
    first.begin();
    await started;
    first.end();
    await supervised.stop();
    await supervised.stop();
    assert.equal(runs.length, 1);
  });

  it("can be stopped while it starts", async () => {
    const { supervised, next, runs } = supervise();
    const started = assert.rejects(supervised.start());
    await next(1);
    await supervised.stop();
    await started;
    assert.equal(runs[0]?.stops, 1);
  });

  it("ends at once when killed", async () => {
    const { supervised, next, runs } = supervise();
    const started = supervised.start();
    (await next(1)).begin();
    await started;
    supervised.kill();
    await supervised.stop();
    assert.equal(runs.length, 1);
    assert.equal(runs[0]?.kills, 1);
  });
});
