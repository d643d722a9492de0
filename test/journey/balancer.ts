import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request as plainRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as tlsRequest } from "node:https";
import { join } from "node:path";
import { makeAuthority } from "../rig/redis/certificates.ts";
import { atExit } from "../rig/at-exit.ts";
import { until } from "../rig/until.ts";
import { freePort } from "../rig/free-port.ts";

/** Proxies of Debian before gateways, set up by the samples of docs/deploy. */

export type BalancerName = "haproxy" | "nginx" | "caddy";

const DEPLOY = join(import.meta.dirname, "../../docs/deploy");

/** Values for a sample's addresses, ports and paths. */
interface Places {
  readonly dir: string;
  readonly port: number;
  /** `host:port` of each gateway. */
  readonly gateways: readonly string[];
}

interface Kind {
  readonly sample: string;
  /** Ends it at once, with its own processes. */
  readonly ending: "SIGTERM" | "SIGKILL";
  readonly isTls: boolean;
  /** Gives the whole configuration. */
  adapt(sample: string, places: Places): string;
  check(file: string): readonly string[];
  run(file: string): readonly string[];
}

const KINDS: Readonly<Record<BalancerName, Kind>> = {
  haproxy: {
    sample: "haproxy.cfg",
    ending: "SIGTERM",
    isTls: true,
    adapt: (sample, { dir, port }) =>
      sample
        .replace("bind :443", `bind 127.0.0.1:${port}`)
        .replace("/etc/haproxy/certs/llm.example.org.pem", join(dir, "both.pem"))
        .replace("maxconn 20000", "maxconn 1000"),
    // Warnings count.
    check: (file) => ["-dW", "-c", "-f", file],
    run: (file) => ["-db", "-f", file],
  },
  nginx: {
    sample: "nginx.conf",
    ending: "SIGTERM",
    isTls: true,
    adapt: (sample, { dir, port }) => {
      const site = sample
        .replace("listen 443", `listen 127.0.0.1:${port}`)
        .replace("/etc/nginx/certs/llm.example.org.pem", join(dir, "llm.pem"))
        .replace("/etc/nginx/certs/llm.example.org.key", join(dir, "llm.key"));
      const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
      const temporary = folders.map((name) => `${name}_temp_path ${join(dir, name)};`).join(" ");
      const user = process.getuid?.() === 0 ? "user root;" : "";
      return `${user} daemon off; pid ${join(dir, "nginx.pid")}; error_log stderr warn;
        events { worker_connections 1024; }
        http { access_log off; ${temporary}\n${site}\n}`;
    },
    check: (file) => ["-t", "-q", "-e", "stderr", "-c", file],
    run: (file) => ["-e", "stderr", "-c", file],
  },
  caddy: {
    sample: "Caddyfile",
    ending: "SIGKILL",
    isTls: false,
    adapt: (sample, { port }) =>
      `{\n\tadmin off\n\tauto_https off\n}\n${sample.replace("llm.example.org {", `http://127.0.0.1:${port} {`)}`,
    check: (file) => ["validate", "--adapter", "caddyfile", "--config", file],
    run: (file) => ["run", "--adapter", "caddyfile", "--config", file],
  },
};

/** A sample as it stands in docs/deploy. */
export function sampleOf(name: BalancerName): string {
  return readFileSync(join(DEPLOY, KINDS[name].sample), "utf8");
}

/** Why the tests of a proxy are left out; false when it is installed. */
export function missing(name: BalancerName): string | false {
  const { error } = spawnSync(name, [name === "haproxy" ? "-v" : "version"], { stdio: "ignore" });
  return error === undefined ? false : `${name} is not installed: apt-get install ${name}`;
}

export interface BalancerPlan {
  readonly name: BalancerName;
  /** An empty folder of its own is made here. */
  readonly dir: string;
  /** Base URLs of two gateways. */
  readonly gateways: readonly string[];
  /** Changes the sample; the sample itself when absent. */
  readonly change?: (sample: string) => string;
}

let count = 0;

/** A running proxy. */
export class Balancer {
  readonly #child: ChildProcess;
  readonly #kind: Kind;
  readonly #port: number;
  readonly #exited: Promise<unknown>;
  readonly #spare: () => void;
  story = "";

  private constructor(child: ChildProcess, kind: Kind, port: number) {
    this.#child = child;
    this.#kind = kind;
    this.#port = port;
    this.#exited = once(child, "exit");
    this.#spare = atExit(() => child.kill(kind.ending));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.story += text;
      });
    }
  }

  /** Checks the configuration with the proxy's own means, starts it, and waits until it finds a gateway ready. */
  static async start({
    name,
    dir: parent,
    gateways,
    change = (sample) => sample,
  }: BalancerPlan): Promise<Balancer> {
    const kind = KINDS[name];
    const dir = join(parent, `${name}-${(count += 1)}`);
    mkdirSync(dir);
    const { cert, key } = makeAuthority(dir, "llm");
    writeFileSync(join(dir, "both.pem"), readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
    const port = await freePort();
    const places = { dir, port, gateways: gateways.map((url) => new URL(url).host) };
    const [first = "", second = first] = places.gateways;
    const text = kind
      .adapt(change(sampleOf(name)), places)
      .replaceAll("10.0.0.11:3000", first)
      .replaceAll("10.0.0.12:3000", second);
    const file = join(dir, kind.sample);
    writeFileSync(file, text);
    const env = { PATH: process.env["PATH"], HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir };
    const checked = spawnSync(name, kind.check(file), { encoding: "utf8", env });
    if (checked.status !== 0)
      throw new Error(`${name} refuses its configuration: ${checked.stderr}\n${text}`);
    const child = spawn(name, kind.run(file), { cwd: dir, env, stdio: ["ignore", "pipe", "pipe"] });
    const balancer = new Balancer(child, kind, port);
    try {
      await until(`${name} with a gateway`, async () => {
        if (child.exitCode !== null) throw new Error(`${name} ended`);
        return (await balancer.status("/readyz")) === 200;
      });
    } catch (error) {
      await balancer.stop();
      throw new Error(`${String(error)}\n${balancer.story}`, { cause: error });
    }
    return balancer;
  }

  /** The status of a GET; 0 when nothing answers. */
  async status(path: string): Promise<number> {
    return new Promise((resolve) => {
      const request = this.#request({ path }, (response) => {
        response.resume().on("close", () => resolve(response.statusCode ?? 0));
      });
      request.on("error", () => resolve(0)).end();
    });
  }

  /** Posts JSON. Resolves with the head of the answer; abort `signal` to leave. */
  async post(path: string, body: object | Buffer, signal?: AbortSignal): Promise<IncomingMessage> {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const headers = { "content-type": "application/json", "content-length": bytes.length };
    return new Promise((resolve, reject) => {
      const options = { path, method: "POST", headers, ...(signal === undefined ? {} : { signal }) };
      this.#request(options, resolve).on("error", reject).end(bytes);
    });
  }

  async stop(): Promise<void> {
    this.#child.kill(this.#kind.ending);
    await this.#exited;
    this.#spare();
  }

  #request(
    options: RequestOptions,
    onAnswer: (response: IncomingMessage) => void,
  ): ReturnType<typeof plainRequest> {
    const place = { host: "127.0.0.1", port: this.#port, agent: false, ...options } as const;
    const request = this.#kind.isTls
      ? tlsRequest({ ...place, rejectUnauthorized: false }, onAnswer)
      : plainRequest(place, onAnswer);
    return request;
  }
}
