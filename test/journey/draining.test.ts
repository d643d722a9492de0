import assert from "node:assert/strict";
import { newFolder, runCommand } from "../rig/command.ts";
import { allDone, Asked, assertAnswered } from "../rig/fleet/asked.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { aTask } from "../rig/task.ts";
import { leaveDeadLetter } from "../rig/dead-letter.ts";
import { FleetReader } from "../../src/redis/inspect/fleet-reader.ts";
import { openStores } from "../../src/redis/stores.ts";

const SHORT = 5;

/** Asks so many questions at once and resolves when all are answered. */
async function ask(fleet: Fleet, count: number): Promise<void> {
  const asked = Array.from({ length: count }, () => {
    return new Asked(fleet.gateway, { way: "openai-chat", stream: true, tokens: SHORT });
  });
  await allDone(asked);
  for (const one of asked) assertAnswered(one);
}

async function drainedNow({ probe, keys }: Fleet): Promise<string[]> {
  const { workers } = await new FleetReader(probe, keys).read(0);
  return workers.filter(({ draining }) => draining).map(({ id }) => id);
}

/** Runs `sgnet <verb> <name>` as an operator does. */
async function tell(
  fleet: Fleet,
  verb: string,
  name: string,
): Promise<{ code: number | null; said: string }> {
  const folder = newFolder();
  const env = { REDIS_URL: fleet.redisUrl };
  const { code, stdout, stderr } = await runCommand([verb, name], { cwd: folder.path, env });
  folder.remove();
  return { code, said: stdout + stderr };
}

journey(
  "a drained worker finishes what it runs and takes nothing until it is undrained",
  { posts: [{ slots: 4 }, { slots: 4 }] },
  async (fleet) => {
    const { workers } = await new FleetReader(fleet.probe, fleet.keys).read(0);
    const idle = fleet.post(0);
    const id = /"worker is ready".*?"worker":"(w\w+)"/.exec(idle.worker.story)?.[1] ?? "";
    assert.ok(workers.some((worker) => worker.id === id));
    idle.standIn.behaviour.tokenMs = 20;
    const running = Array.from({ length: 8 }, () => {
      return new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: 100 });
    });
    await idle.standIn.waitFor("request");
    assert.deepEqual(await tell(fleet, "drain", id), {
      code: 0,
      said: `${id} on ${workers[0]?.host} is told to drain.\n`,
    });
    await until("the announcement", async () => (await drainedNow(fleet)).join() === id);
    await allDone(running);
    for (const one of running) assertAnswered(one);
    const before = idle.standIn.requests.length;
    await ask(fleet, 24);
    assert.equal(idle.standIn.requests.length, before, "it takes nothing");
    assert.equal(idle.worker.alive, true);

    assert.equal((await tell(fleet, "undrain", id)).code, 0);
    await until("no draining", async () => (await drainedNow(fleet)).length === 0);
    await until("a task for it", async () => {
      await ask(fleet, 8);
      return idle.standIn.requests.length > before;
    });
    const used = idle.standIn.requests.length;
    assert.equal((await tell(fleet, "drain", id)).code, 0);
    await until("the announcement", async () => (await drainedNow(fleet)).join() === id);
    await ask(fleet, 24);
    assert.equal(idle.standIn.requests.length, used, "the wait that was under way brings nothing");
    const { code, said } = await tell(fleet, "drain", "nobody");
    assert.deepEqual([code, said], [1, "There is no worker nobody: sgnet status lists the workers.\n"]);
  },
);

journey(
  "what admins may do needs their key, in a header",
  { posts: [], env: { SGNET_ADMIN_KEY: "root", SGNET_API_KEY: "user" } },
  async ({ gateway }) => {
    const knock = async (path: string, key: string, body?: object): Promise<readonly [number, string]> => {
      const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
      const response = await fetch(gateway.url + path, {
        ...request,
        headers: key === "" ? {} : { authorization: `Bearer ${key}` },
      });
      return [response.status, await response.text()];
    };
    assert.equal((await knock("/admin/dead", ""))[0], 401);
    assert.equal((await knock("/admin/dead?key=root", ""))[0], 401);
    for (const path of ["/admin/workers/drain", "/admin/dead/retry", "/admin/dead/drop"]) {
      assert.equal((await knock(path, "user", { worker: "w1", model: "tiny", id: "1-1" }))[0], 403, path);
    }
    assert.deepEqual(await knock("/admin/dead", "root"), [200, '{"letters":[]}']);
    const named = await fetch(`${gateway.url}/admin/dead`, {
      headers: { authorization: "Bearer root", "x-request-id": "mine-1" },
    });
    await named.text();
    assert.deepEqual([named.status, named.headers.get("x-request-id")], [200, "mine-1"]);
    const mistakes: readonly (readonly [string, object, number, RegExp])[] = [
      ["/admin/workers/drain", { worker: "w1" }, 404, /there is no worker w1/],
      ["/admin/workers/undrain", {}, 400, /worker must be a text/],
      ["/admin/dead/retry", { model: "tiny", id: "1-1" }, 404, /there is no dead letter 1-1 of tiny/],
      ["/admin/dead/drop", { model: "tiny", id: "x" }, 404, /there is no dead letter x/],
      ["/admin/dead/drop", { model: 5, id: "x" }, 400, /model must be a text/],
    ];
    for (const [path, body, status, error] of mistakes) {
      const [code, text] = await knock(path, "root", body);
      assert.equal(code, status, text);
      assert.match(text, error);
    }
    assert.equal((await knock("/admin/dead/retry", "root"))[0], 405);
  },
);

/** Lays a dead letter as a worker does, and gives its name. */
async function layLetter({ probe, keys }: Fleet): Promise<{ model: string; id: string }> {
  const body = Buffer.from(JSON.stringify({ model: MODEL, prompt: "again", stream: false }));
  const task = aTask({ id: "gone.1", endpoint: "ollama-generate", model: MODEL, stream: false, body });
  await leaveDeadLetter(probe, keys, task);
  const [letter = assert.fail()] = await Array.fromAsync(openStores(probe, keys).letters.list(MODEL));
  return { model: MODEL, id: letter.id };
}

journey(
  "a dead letter runs once, whoever retries it, and only where one more request is taken",
  { gateways: 2, env: { SGNET_ADMIN_KEY: "root", SGNET_MAX_OPEN: "1" } },
  async (fleet) => {
    const { standIn } = fleet.post(0);
    const name = await layLetter(fleet);
    const leave = new AbortController();
    const retry = async (index: number, signal?: AbortSignal): Promise<readonly [number, string]> => {
      const response = await fetch(`${fleet.gateways[index]?.url}/admin/dead/retry`, {
        method: "POST",
        headers: { authorization: "Bearer root" },
        body: JSON.stringify(name),
        ...(signal === undefined ? {} : { signal }),
      });
      return [response.status, await response.text()];
    };
    standIn.behaviour.firstTokenMs = 600_000;
    const other = new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: SHORT });
    await standIn.waitFor("request");
    const [status, said] = await retry(0);
    assert.deepEqual([status, /server busy/.test(said)], [503, true], said);
    other.leave();
    await standIn.waitFor("aborted");

    const refused: string[] = [];
    const crowd = [0, 1, 1, 0].map(async (index) => {
      const [code, text] = await retry(index, leave.signal);
      refused.push(`${code} ${text}`);
    });
    await standIn.waitFor("request", 2);
    await until("all others", () => refused.length === 3);
    for (const one of refused) assert.match(one, /^409 .*it is being run again already/);
    leave.abort();
    await Promise.allSettled(crowd);
    await standIn.waitFor("aborted", 2);

    standIn.behaviour.firstTokenMs = 0;
    const [code, text] = await until("the letter to be free", async () => {
      const told = await retry(1);
      return told[0] !== 409 && told;
    });
    assert.deepEqual([code, /"code":"ok"/.test(text)], [200, true], text);
    assert.equal(standIn.requests.length, 3);
    assert.equal((await retry(1))[0], 404);
  },
);
