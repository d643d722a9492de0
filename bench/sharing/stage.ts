/** The fleet that a part of the sharing bench runs on: real processes, one real Redis, keys made by the command. */
import { Fleet, MODEL } from "../../test/rig/fleet/fleet.ts";
import type { FleetPlan } from "../../test/rig/fleet/fleet.ts";
import { runCommand } from "../../test/rig/command.ts";
import { until } from "../../test/rig/until.ts";

/** The answer to a request, without its text. */
export interface Reply {
  readonly status: number;
  /** The code of the error, in OpenAI's form; undefined for an answer. */
  readonly code: string | undefined;
}

export interface AskOptions {
  readonly key?: string;
  readonly maxTokens?: number;
  /** `x-sgnet-timeouts`. */
  readonly timeouts?: string;
  readonly signal?: AbortSignal;
}

/** A fleet with the commands of its admin. */
export class Stage {
  readonly fleet: Fleet;

  private constructor(fleet: Fleet) {
    this.fleet = fleet;
  }

  static async open(plan: FleetPlan): Promise<Stage> {
    const env = { SGNET_LOG_LEVEL: "info", SGNET_LOG_FORMAT: "json", ...plan.env };
    return new Stage(await Fleet.start({ ...plan, env }));
  }

  async close(): Promise<void> {
    await this.fleet.stop();
  }

  /** Runs `sgnet … --json` as an admin and returns what it printed. Throws when it fails. */
  async sgnet(...args: readonly string[]): Promise<Record<string, unknown>> {
    const env = { REDIS_URL: this.fleet.redisUrl };
    const { code, stdout, stderr } = await runCommand([...args, "--json"], { cwd: this.fleet.folder, env });
    if (code !== 0) throw new Error(`sgnet ${args.join(" ")} ended with ${code}: ${stdout}${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** Makes a key, and waits until each gateway takes it. Returns the secret. */
  async createKey(name: string, ...limits: readonly string[]): Promise<string> {
    const { secret } = await this.sgnet("keys", "create", name, ...limits);
    if (typeof secret !== "string") throw new TypeError(`the key ${name} has no secret`);
    await this.takes(secret);
    return secret;
  }

  /** Resolves when each gateway takes a key. */
  async takes(key: string): Promise<void> {
    for (const { url } of this.fleet.gateways) {
      await until(`a gateway that takes the key`, async () => (await listModels(url, key)) === 200);
    }
  }

  /** Asks a gateway for a short answer in OpenAI's dialect. */
  async ask(options: AskOptions = {}, gateway = 0): Promise<Reply> {
    const { key, maxTokens = 4, timeouts, signal } = options;
    const url = this.fleet.gateways[gateway]?.url ?? "";
    const messages = [{ role: "user", content: "hi" }];
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(timeouts === undefined ? {} : { "x-sgnet-timeouts": timeouts }),
      },
      body: JSON.stringify({ model: MODEL, messages, max_tokens: maxTokens }),
      ...(signal === undefined ? {} : { signal }),
    });
    const { error } = (await response.json()) as { error?: { code?: string | null } };
    return { status: response.status, code: error?.code ?? undefined };
  }
}

/** The status of a list of models: it costs no limit anything. */
export async function listModels(url: string, key?: string): Promise<number> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(`${url}/v1/models`, { headers });
  await response.arrayBuffer();
  return response.status;
}
