import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { renderLetter, renderLetters } from "../../src/commands/dead-view.ts";
import { renderEnded, renderOpen } from "../../src/commands/timeline.ts";
import { renderTop } from "../../src/commands/top-view.ts";
import { Keys } from "../../src/redis/keys.ts";
import { OpenTasks } from "../../src/redis/inspect/open-tasks.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { newFolder, runCommand } from "../rig/command.ts";
import { leaveDeadLetter } from "../rig/dead-letter.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { aTask } from "../rig/task.ts";

const NAMES = { keyName: "Ann's \u202Elaptop", tenant: "lab" };

/** The name as a terminal may show it. */
const SHOWN = String.raw`Ann's \u202elaptop`;

const SUMMARY = {
  task: "g.1",
  request: "r",
  endpoint: "openai-chat",
  model: "tiny",
  at: 0,
  code: "ok",
  status: 200,
  totalMs: 5,
};

const LETTER = {
  id: "1000-0",
  at: 1000,
  model: "tiny",
  code: "delivery_limit",
  message: "no worker answered",
  deliveries: 3,
  worker: "w1",
  task: "g1.1",
  request: "r1",
  endpoint: "openai-chat",
};

describe("the names of a key on a terminal", () => {
  it("stand in timelines, escaped", () => {
    const lines = `  task         g.1\n  key          ${SHOWN}\n  tenant       lab\n  endpoint `;
    assert.ok(renderEnded({ ...SUMMARY, ...NAMES }).includes(lines));
    const queued = { model: "tiny", entry: "1-0", task: aTask(NAMES), hold: undefined };
    assert.ok(renderOpen("r", { queued, reply: undefined }, 0).includes(lines));
    assert.doesNotMatch(renderEnded(SUMMARY), /key|tenant/);
  });

  it("stand in dead letters, with a column only where one has a name", () => {
    const now = 61_000;
    assert.match(renderLetter({ ...LETTER, ...NAMES }), /key {10}Ann's \\u202elaptop\n {2}tenant {7}lab\n/);
    const table = renderLetters([{ ...LETTER, ...NAMES }, LETTER], { now, left: 0 });
    assert.match(table, /request {2}key\n.*r1 {7}Ann's \\u202elaptop \(lab\)\n.*r1 {7}-\n/);
    assert.doesNotMatch(renderLetters([LETTER], { now, left: 0 }), /key/);
  });

  it("stand in the running requests of sgnet top, with a column only where one has a name", () => {
    const totals = { nodes: 1, gateways: 1, busy: 0, slots: 1, finishing: 0, waiting: 0, claimed: 1 };
    const fleet = {
      totals: { ...totals, tokensPerSecond: 0, deadLetters: 0 },
      problems: [],
      models: [],
      nodes: [],
    };
    const hold = {
      entry: "1-0",
      worker: "w1",
      idleMs: 0,
      deliveries: 1,
      requeued: false,
      model: "tiny",
      queuedAt: 0,
    };
    const faults = { windowMs: 1000, counts: [], latest: [] };
    const shown = (held: readonly (typeof hold)[]): string => {
      const readings = { fleet, faults, held, rates: [], now: 1000 };
      return renderTop(readings as unknown as Parameters<typeof renderTop>[0])
        .map(({ text }) => text)
        .join("\n");
    };
    assert.match(
      shown([{ ...hold, ...NAMES }, hold]),
      /delivery {2}key\n.* {9}1 {2}Ann's \\u202elaptop \(lab\)\n.* {9}1 {2}-/,
    );
    assert.doesNotMatch(shown([hold]), /key/);
  });
});

describe("the names of a key in Redis", () => {
  const folder = newFolder();
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(async () => {
    await rig.close();
    folder.remove();
  });

  it("are read by sgnet dead and sgnet trace", async () => {
    const names = { keyName: "ann", tenant: "lab" };
    await leaveDeadLetter(rig.connection, new Keys("sgnet"), aTask({ requestId: "dead-1", ...names }));
    await leaveDeadLetter(rig.connection, new Keys("sgnet"), aTask({ id: "g.2", requestId: "dead-2" }));
    await rig.connection.command(
      "XADD",
      "sgnet:log",
      "*",
      "s",
      JSON.stringify({ ...SUMMARY, request: "done", ...names }),
    );
    const run = async <Facts = Record<string, unknown>>(...args: string[]): Promise<Facts> => {
      const env = { REDIS_URL: rig.server.url };
      const { code, stdout, stderr } = await runCommand([...args, "--json"], { cwd: folder.path, env });
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as Facts;
    };
    const letters = await run<{ request: string; keyName?: string }[]>("dead", "list");
    assert.equal(letters.find(({ request }) => request === "dead-1")?.keyName, "ann");
    const { keyName, tenant } = await run("dead", "show", "dead-1");
    assert.deepEqual([keyName, tenant], ["ann", "lab"]);
    assert.ok(!("keyName" in (await run("dead", "show", "dead-2"))));
    const { ended } = await run<{ ended: Record<string, unknown>[] }>("trace", "done");
    assert.deepEqual([ended[0]?.["keyName"], ended[0]?.["tenant"]], ["ann", "lab"]);
  });

  it("of held tasks are read once for each entry, and none is needed", async () => {
    const { connection, keys } = rig;
    const tasks = [aTask({ id: "g.1", keyName: "ann", tenant: "lab" }), aTask({ id: "g.2" })];
    for (const task of tasks)
      await connection.command("XADD", keys.queue("tiny"), "*", "t", encodeTask(task, true));
    await connection.command("XGROUP", "CREATE", keys.queue("tiny"), "w", "0");
    await connection.command("XREADGROUP", "GROUP", "w", "w1", "STREAMS", keys.queue("tiny"), ">");
    let reads = 0;
    const counting = Object.create(connection, {
      command: {
        value: async (name: string, ...args: string[]) => {
          if (name === "XRANGE") reads += 1;
          return connection.command(name, ...args);
        },
      },
    }) as typeof connection;
    const open = new OpenTasks(counting, keys);
    for (let round = 0; round < 3; round += 1) {
      const held = await open.withNames(await open.held(["tiny"], 50));
      assert.deepEqual(
        held.map(({ keyName, tenant }) => [keyName, tenant]),
        [
          ["ann", "lab"],
          [undefined, undefined],
        ],
      );
    }
    assert.equal(reads, 2);
    const [first] = await open.held(["tiny"], 1);
    await connection.command("XDEL", keys.queue("tiny"), first?.entry ?? "");
    const gone = await new OpenTasks(connection, keys).withNames(await open.held(["tiny"], 50));
    assert.equal(gone[0]?.keyName, undefined);
  });
});
