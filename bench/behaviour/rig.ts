/** A variant with backends that can be inspected, killed and restarted, for one check of its behaviour. */
import { setTimeout as sleep } from "node:timers/promises";
import type { LoadDialect } from "../cases.ts";
import type { Child } from "../children.ts";
import { startScript } from "../legs.ts";
import type { Leg, LegContext, LegName } from "../legs.ts";
import type { Profile } from "../profiles.ts";
import type { SimReport, SimRules } from "../sim-log.ts";
import { Probe } from "./probe.ts";

/** One row of the behaviour table, of one way. */
export interface BehaviourResult {
  readonly case: string;
  readonly figure: string;
  readonly leg: LegName;
  readonly text: string;
}

/** A simulated backend with an open book. */
export class Backend {
  readonly #context: LegContext;
  readonly port: number;
  #child: Child;

  private constructor(context: LegContext, child: Child, port: number) {
    this.#context = context;
    this.#child = child;
    this.port = port;
  }

  static async start(context: LegContext): Promise<Backend> {
    const child = startScript(context, "backend", ["backend.ts"]);
    const backend = new Backend(context, child, await child.readyPort());
    await backend.rule({});
    return backend;
  }

  /** Sets its rules and opens a new book. */
  async rule(rules: SimRules): Promise<void> {
    await this.#simLog({ method: "POST", body: JSON.stringify(rules) });
  }

  /** Its book since the last `rule`. */
  async book(): Promise<SimReport> {
    return await this.#simLog({});
  }

  /** Freezes it (`SIGSTOP`), lets it go on (`SIGCONT`) or kills it (`SIGKILL`). */
  signal(name: NodeJS.Signals): void {
    this.#child.signal(name);
  }

  /** Starts it again on its port. */
  async restart(): Promise<void> {
    await this.#child.stop();
    this.#child = startScript(this.#context, "backend", ["backend.ts", String(this.port)]);
    await this.#child.readyPort();
    await this.rule({});
  }

  async #simLog(request: RequestInit): Promise<SimReport> {
    const headers = { connection: "close" };
    const response = await fetch(`http://127.0.0.1:${this.port}/sim/log`, { ...request, headers });
    return (await response.json()) as SimReport;
  }
}

/** A way, its backends, and the API it is asked through. */
export interface Rig {
  readonly leg: Leg;
  readonly backends: readonly Backend[];
  readonly dialect: LoadDialect;
}

/** One request through the way. */
export function ask(rig: Rig, profile: Profile, tag: string, stream = true): Probe {
  return new Probe({ port: rig.leg.port, dialect: rig.dialect, profile, stream, tag });
}

/** `count` requests sent one ms after the other, tagged with their places from 0. */
export async function askMany(rig: Rig, profile: Profile, count: number): Promise<readonly Probe[]> {
  const probes: Probe[] = [];
  const begin = performance.now();
  while (probes.length < count) {
    while (probes.length < Math.min(count, performance.now() - begin)) {
      probes.push(ask(rig, profile, String(probes.length)));
    }
    await sleep(1);
  }
  return probes;
}

/**
 * Asks `probe` each few ms until it has a value.
 *
 * @returns undefined when it has none within `limitMs`
 */
export async function eventually<T>(
  probe: () => Promise<T | undefined>,
  limitMs: number,
): Promise<T | undefined> {
  const until = performance.now() + limitMs;
  while (performance.now() < until) {
    const value = await probe();
    if (value !== undefined) return value;
    await sleep(2);
  }
  return undefined;
}
