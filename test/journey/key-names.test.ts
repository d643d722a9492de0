import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../rig/command.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** The secrets of this fleet. None of them may be shown anywhere. */
const KEYS = ["alpha-hunter2", "beta-hunter2"] as const;
const ADMIN = "root-hunter2";
const ENV = { SGNET_API_KEY: KEYS.join(","), SGNET_ADMIN_KEY: ADMIN };

type Line = Readonly<Record<string, unknown>>;

async function ask(fleet: Fleet, requestId: string, key: string, model: string = MODEL): Promise<Response> {
  return fetch(`${fleet.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-request-id": requestId, "x-api-key": key },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }], stream: true }),
  });
}

/** The first line of a request in a log. */
async function lineOf(lines: readonly string[], request: string): Promise<Line> {
  return until(`a line of ${request}`, () => {
    const found = lines.find((line) => line.includes(`"request":"${request}"`));
    return found === undefined ? undefined : (JSON.parse(found) as Line);
  });
}

async function sgnet<Facts>(fleet: Fleet, ...args: string[]): Promise<Facts> {
  const env = { REDIS_URL: fleet.redisUrl, ...ENV };
  const { stdout, stderr } = await runCommand(args, { cwd: fleet.folder, env });
  assert.doesNotMatch(stdout + stderr, /hunter2/);
  return JSON.parse(stdout) as Facts;
}

journey(
  "every line and record of a request names its key, and nothing shows a secret",
  { env: ENV },
  async (fleet) => {
    const { standIn, worker } = fleet.post();
    const { lines } = fleet.gateway;
    standIn.behaviour.hangAfter = 2;
    const running = ask(fleet, "running", KEYS[1]);
    await standIn.waitFor("token", 2);

    const held = await until("the held task", async () => {
      const [first] = (await sgnet<{ held: Line[] }>(fleet, "top", "--json")).held;
      return first;
    });
    assert.deepEqual([held["keyName"], held["tenant"]], ["env-2", "env"]);
    const events = await fetch(`${fleet.gateway.url}/ui/events`, { headers: { "x-api-key": KEYS[0] } });
    const reader = (events.body ?? assert.fail("no events")).pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    await until("the row of the live page", async () => {
      text += (await reader.read()).value ?? "";
      return /"request":"running"[^}]*"keyName":"env-2","tenant":"env"/.test(text);
    });
    await reader.cancel();
    const { open } = await sgnet<{ open: Line }>(fleet, "trace", "running", "--json");
    assert.deepEqual([open["keyName"], open["tenant"]], ["env-2", "env"]);
    await (await running).body?.cancel();
    await standIn.waitFor("aborted");
    standIn.behaviour.hangAfter = undefined;

    assert.deepEqual((await lineOf(lines, "running"))["keyName"], "env-2");
    assert.equal((await ask(fleet, "unknown", KEYS[0], "no-such-model")).status, 404);
    assert.deepEqual((await lineOf(lines, "unknown"))["keyName"], "env-1");
    assert.equal((await ask(fleet, "guess", "wrong-hunter2")).status, 401);
    const guess = await lineOf(lines, "guess");
    assert.deepEqual([guess["keyName"], guess["wrongKeyOf"]], [undefined, "127.0.0.1"]);
    const metrics = await (await fetch(`${fleet.gateway.url}/metrics`)).text();
    assert.match(metrics, /sgnet_wrong_keys_total\{answer="judged"\} 1\n/);

    standIn.behaviour.refuse = { status: 500, message: "broken" };
    await (await ask(fleet, "failing", ADMIN)).text();
    const failed = await lineOf(worker.lines, "failing");
    assert.deepEqual(
      [failed["message"], failed["keyName"], failed["tenant"]],
      ["attempt failed", "env-admin-1", "env"],
    );
    const ended = await until("its summary", async () => {
      const told = await sgnet<{ ended?: Line[] }>(fleet, "trace", "failing", "--json");
      return told.ended?.[0];
    });
    assert.equal(ended["keyName"], "env-admin-1");

    await sgnet(fleet, "status", "--json");
    await sgnet(fleet, "doctor", "--json");
    assert.doesNotMatch(fleet.story + metrics + text, /hunter2/);
    assert.doesNotMatch(await dump(fleet), /hunter2/);
  },
);

/** All texts that Redis holds, but for the bodies of requests. */
async function dump({ probe, keys }: Fleet): Promise<string> {
  const log = await probe.command("XRANGE", keys.log(), "-", "+");
  const queue = await probe.command("XRANGE", keys.queue(MODEL), "-", "+");
  return JSON.stringify([log, queue], (_name, value: unknown) =>
    value instanceof Object && "data" in value && Array.isArray(value.data)
      ? Buffer.from(value.data as number[]).toString("latin1")
      : value,
  );
}

const CLI = join(import.meta.dirname, "../../src/cli.ts");

/** Command lines of a process and of all below it. */
function commandLines(pid: number): string[] {
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/stat`))
    .filter(
      (name) =>
        readText(`/proc/${name}/stat`).includes(`) S ${pid} `) ||
        readText(`/proc/${name}/status`).includes(`PPid:\t${pid}\n`),
    );
  return [readText(`/proc/${pid}/cmdline`), ...children.flatMap((child) => commandLines(Number(child)))];
}

/** Empty for a process that is gone. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function launch(fleet: Fleet, args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [CLI, ...args], {
    cwd: fleet.folder,
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], REDIS_URL: fleet.redisUrl, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

if (process.platform === "linux") {
  journey("the processes of a gateway show no secret in their command lines", {}, async (fleet) => {
    const env = { SGNET_LOG_FORMAT: "json", SGNET_LOG_LEVEL: "debug", ...ENV };
    const child = launch(fleet, ["gateway", "--processes", "2", "--port", "0"], env);
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (said += String(chunk)));
    try {
      await until("two gateways", () => /"gateways are ready"/.test(said), 60_000);
      const shown = commandLines(child.pid ?? 0);
      assert.equal(shown.length, 3);
      assert.doesNotMatch(shown.join("\n") + said, /hunter2/);
    } finally {
      child.kill("SIGTERM");
      await exited;
    }
  });
}
