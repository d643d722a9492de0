import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "../rig/at-exit.ts";
import { until } from "../rig/until.ts";
import { freePort } from "../rig/free-port.ts";

const RULES = join(import.meta.dirname, "../../grafana/prometheus/rules.yml");

/** A rule as Prometheus sees it. */
export interface RuleState {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

/** A real Prometheus on loopback that scrapes gateways, twice a second unless told otherwise, and evaluates our rules. */
export class Prometheus {
  readonly url: string;
  readonly #dir: string;
  readonly #child: ChildProcess;
  readonly #spare: () => void;
  readonly #exited: Promise<unknown>;
  #complaints = "";

  private constructor(url: string, dir: string, child: ChildProcess) {
    this.url = url;
    this.#dir = dir;
    this.#child = child;
    this.#exited = once(child, "exit").catch(() => undefined);
    this.#spare = atExit(() => child.kill("SIGKILL"));
    child.stderr?.on("data", (chunk) => {
      this.#complaints += String(chunk);
    });
  }

  /** @param gateways URLs of gateways; the first tells of the fleet @param everyS between two scrapes */
  static async start(gateways: readonly string[], everyS = 0.5): Promise<Prometheus> {
    const dir = await mkdtemp(join(tmpdir(), "sgnet-prometheus-"));
    const config = join(dir, "prometheus.yml");
    await writeFile(
      config,
      configFor(
        gateways.map((url) => new URL(url).host),
        everyS,
      ),
    );
    const address = `127.0.0.1:${await freePort()}`;
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(dir, "data")}`,
      `--web.listen-address=${address}`,
      "--log.level=warn",
    ];
    const child = spawn("prometheus", args, { stdio: ["ignore", "ignore", "pipe"] });
    const prometheus = new Prometheus(`http://${address}`, dir, child);
    try {
      await until("a Prometheus that is ready", () => prometheus.#isReady());
    } catch (error) {
      await prometheus.stop();
      throw error;
    }
    return prometheus;
  }

  async #isReady(): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error(`Prometheus ended: ${this.#complaints}`);
    const response = await fetch(`${this.url}/-/ready`).catch(() => undefined);
    return response?.ok === true;
  }

  /** Values of an instant query, one per series, without those that are no number. Rejects with Prometheus' error. */
  async query(expr: string): Promise<number[]> {
    const response = await fetch(
      `${this.url}/api/v1/query?${new URLSearchParams({ query: expr }).toString()}`,
    );
    const answer = (await response.json()) as {
      status: string;
      error?: string;
      data: { resultType: string; result: { value: [number, string] }[] };
    };
    if (answer.status !== "success") throw new Error(`${expr}: ${answer.error}`);
    return answer.data.result.map(({ value }) => Number(value[1])).filter((value) => !Number.isNaN(value));
  }

  async rules(): Promise<RuleState[]> {
    const response = await fetch(`${this.url}/api/v1/rules`);
    const answer = (await response.json()) as { data: { groups: { rules: RuleState[] }[] } };
    return answer.data.groups.flatMap(({ rules }) => rules);
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
    this.#spare();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

function configFor(targets: readonly string[], everyS: number): string {
  const every = `${everyS * 1000}ms`;
  return JSON.stringify({
    global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: "1s" },
    rule_files: [RULES],
    scrape_configs: [
      { job_name: "sgnet-gateway", static_configs: [{ targets }] },
      {
        job_name: "sgnet-fleet",
        metrics_path: "/metrics/fleet",
        static_configs: [{ targets: targets.slice(0, 1) }],
      },
    ],
  });
}
