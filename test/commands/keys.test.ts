import assert from "node:assert/strict";
import { hostname } from "node:os";
import { after, afterEach, before, describe, it } from "node:test";
import { firstKeyText } from "../../src/commands/access-advice.ts";
import { renderAudit } from "../../src/commands/audit.ts";
import type { DatedAuditEntry } from "../../src/core/access/audit-entry.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { aTask } from "../rig/task.ts";
import { leaveDeadLetter } from "../rig/dead-letter.ts";
import { newFolder, runCommand } from "../rig/command.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

const SECRET = /sg-[\w-]{49}/;
const KEYS = new Keys("sgnet");

/** A member that must be a text. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : assert.fail(`no text: ${JSON.stringify(value)}`);
}

describe("the advice for a new key", () => {
  const about = { secret: "sg-x", closes: true, isTerminal: true };

  it("says how to use it on a terminal, and what changes everywhere", () => {
    const text = firstKeyText({ host: "0.0.0.0", port: 3000 }, about);
    assert.match(text, /From now on requests without a key get 401, at every gateway within 4 s/);
    assert.match(text, /curl http:\/\/127\.0\.0\.1:3000\/v1\/models -H 'authorization: Bearer sg-x'/);
    assert.match(text, /OPENAI_BASE_URL=http:\/\/127\.0\.0\.1:3000\/v1 OPENAI_API_KEY=sg-x/);
    const piped = firstKeyText({ host: "::1", port: 1 }, { ...about, isTerminal: false });
    assert.doesNotMatch(piped, /sg-x|curl/);
    assert.equal(firstKeyText({ host: "::1", port: 1 }, { ...about, closes: false, isTerminal: false }), "");
  });
});

describe("sgnet keys, tenants and audit", () => {
  const folder = newFolder();
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(async () => {
    await rig.close();
    folder.remove();
  });
  afterEach(async () => {
    await rig.connection.command("FLUSHDB");
  });

  const sgnet = (...args: string[]) =>
    runCommand(args, { cwd: folder.path, env: { REDIS_URL: rig.server.url } });
  const json = async <Shape = JsonObject>(...args: string[]): Promise<Shape> => {
    const { code, stdout, stderr } = await sgnet(...args, "--json");
    assert.deepEqual([code, stderr], [0, ""], stdout);
    return JSON.parse(stdout) as Shape;
  };

  it("creates keys with every limit, and prints a secret once", async () => {
    const limits = [
      "--rpm",
      "60",
      "--rpm-burst",
      "5",
      "--itpm",
      "10_000",
      "--itpm-burst",
      "7",
      "--otpm",
      "8",
    ];
    limits.push("--otpm-burst", "9", "--max-open", "4", "--budget-day", "100", "--budget-month", "1000");
    const others = [
      "--tenant",
      "lab",
      "--models",
      "qwen3:*, tiny",
      "--class",
      "batch",
      "--ceiling",
      "standard",
    ];
    others.push("--weight", "3", "--expires", "2099-12-31", "--role", "admin", "--budget", "warn");
    const { secret, hint, id, created, version, ...rest } = await json(
      "keys",
      "create",
      "al",
      ...limits,
      ...others,
    );
    assert.match(textOf(secret), SECRET);
    assert.equal(hint, textOf(secret).slice(-4));
    assert.deepEqual([typeof id, typeof created, typeof version], ["string", "number", "number"]);
    assert.deepEqual(rest, {
      name: "al",
      tenant: "lab",
      role: "admin",
      models: ["qwen3:*", "tiny"],
      class: "batch",
      ceiling: "standard",
      rpm: 60,
      rpmBurst: 5,
      itpm: 10_000,
      itpmBurst: 7,
      otpm: 8,
      otpmBurst: 9,
      maxOpen: 4,
      budgetDay: 100,
      budgetMonth: 1000,
      budget: "warn",
      expires: Date.UTC(2099, 11, 31),
    });
    assert.equal((await json("tenants", "show", "lab"))["weight"], 3);
    const first = await sgnet("keys", "create", "bob");
    assert.match(first.stdout, SECRET);
    assert.match(first.stdout, /From now on requests without a key get 401/);
    assert.doesNotMatch((await sgnet("keys", "create", "carl")).stdout, /From now on/);
    for (const shown of [
      await sgnet("keys"),
      await sgnet("keys", "show", "al"),
      await sgnet("audit", "--json"),
    ]) {
      assert.equal(shown.code, 0);
      assert.doesNotMatch(shown.stdout, SECRET);
      assert.doesNotMatch(shown.stdout, /[0-9a-f]{64}/);
    }
    assert.equal(/sg-/.test(String(await rig.connection.command("HVALS", KEYS.accessRecords()))), false);
  });

  it("changes, renames, rotates and revokes one by name or id", async () => {
    const made = await json("keys", "create", "al", "--rpm", "60", "--expires", "90d");
    const set = await json(
      "keys",
      "set",
      "al",
      "--rpm",
      "none",
      "--expires",
      "none",
      "--name",
      "ali",
      "--weight",
      "2",
    );
    assert.deepEqual([set["name"], set["rpm"], set["expires"]], ["ali", undefined, undefined]);
    assert.equal((await json("tenants", "show", textOf(made["id"])))["weight"], 2, "it has its own tenant");
    const turned = await json("keys", "rotate", textOf(made["id"]), "--overlap", "12h");
    assert.match(textOf(turned["secret"]), SECRET);
    assert.notEqual(turned["secret"], made["secret"]);
    assert.match((await sgnet("keys", "show", "ali")).stdout, /old secret {3}works until 20/);
    assert.equal((await json("keys", "rotate", "ali", "--overlap", "0"))["former"], undefined);
    assert.match((await sgnet("keys", "revoke", "ali")).stdout, /^Key ali \(k\w{10}\) is revoked/);
    assert.match((await sgnet("keys", "list")).stdout, /ali .* revoked\n/);
    const opened = await json("keys", "open");
    assert.deepEqual(opened, { anonymous: true });
    const log = await json<DatedAuditEntry[]>("audit");
    assert.deepEqual(
      log.map(({ action, target }) => `${action} ${target.split(" ")[0]}`),
      [
        "keys.open ",
        "keys.revoke ali",
        "keys.rotate ali",
        "keys.rotate ali",
        "keys.set ali",
        "keys.create al",
      ],
    );
    assert.match(String(log[0]?.who), /^cli:\w+@/);
    assert.deepEqual(
      [log[0]?.from, log[4]?.changes],
      [hostname(), { rpm: null, weight: 2, expires: null, name: "ali" }],
    );
    assert.match((await sgnet("audit", "--limit", "1")).stdout, /^Actions of admins\n.*\n.*keys\.open.*\n$/);
  });

  it("tells an operator who takes the last admin key away", async () => {
    await json("keys", "create", "root", "--role", "admin");
    const { code, stderr } = await sgnet("keys", "revoke", "root");
    assert.deepEqual([code, stderr.startsWith("No admin key is left")], [0, true], stderr);
  });

  it("creates, changes and removes tenants", async () => {
    assert.equal(
      (await json("tenants", "create", "lab", "--budget-month", "5", "--weight", "7"))["weight"],
      7,
    );
    assert.equal(
      (await json("tenants", "set", "lab", "--queue-share", "0.25", "--weight", "none"))["queueShare"],
      0.25,
    );
    assert.match((await sgnet("tenants")).stdout, /^Tenants\n.*\n {2}lab +0 +1 {2}budgetMonth=5\n$/);
    assert.equal((await json<JsonObject[]>("tenants", "list")).length, 1);
    assert.match((await sgnet("tenants", "show", "lab")).stdout, /queue share {2}0\.25/);
    assert.equal((await sgnet("tenants", "remove", "lab")).code, 0);
    assert.equal((await sgnet("tenants", "list")).stdout, "Tenants: none\n");
  });

  const mistakes: readonly (readonly [line: string, says: RegExp])[] = [
    ["keys creat x", /^sgnet keys takes list, .*not creat\. Did you mean create\?\n$/],
    ["keys create", /^A name is missing: sgnet keys create NAME\.\n$/],
    ["keys list x", /^sgnet keys list takes no name\.\n$/],
    ["keys show x", /^There is no key 'x'\.\n$/],
    ["keys set x --rpm 5", /^There is no key 'x'\.\n$/],
    ["keys set x", /^Nothing is to be set/],
    ["keys create x --rpm 0", /^--rpm must be a whole number from 1 to 1000000000000, not "0"\.\n$/],
    ["keys create x --rpm 1e3", /^--rpm must be a whole number/],
    ["keys create x --rpm -5", /^--rpm must be a whole number/],
    ["keys create x --rpm 2000000000000", /^--rpm must be a whole number/],
    ["keys create x --max-open many", /^--max-open must be a whole number.*not "many"\.\n$/],
    ["keys create x --max-running 2", /^Running caps need the fair queue/],
    ["keys create x --weight 1001", /^--weight must be a whole number from 1 to 1000/],
    ["keys create x --class fast", /^--class must be one of interactive, standard, batch, not "fast"\.\n$/],
    ["keys create x --role root", /^--role must be one of client, admin, observer/],
    ["keys create x --models ,", /^--models must be a list/],
    ["keys create x --tenant Lab", /^--tenant must have 1 to 64 characters/],
    ["keys create x --tenant env", /'env' is reserved/],
    ["keys create x --expires yesterday", /^--expires must be a time to come: .*not "yesterday"\.\n$/],
    ["keys create x --expires 2020-01-01", /^--expires must be a time to come/],
    ["keys create x --budget soft", /^--budget must be one of hard, warn/],
    ["keys create x --overlap 1d", /^sgnet keys create does not take the option --overlap\.\n$/],
    ["keys create env-1", /reserved/],
    ["keys rotate x --overlap 5x", /^--overlap must be a duration/],
    ["keys rotate x --overlap 91d", /0 to 90 days/],
    ["keys create x --rpn 5", /^Unknown argument: rpn\. Did you mean --rpm\?/],
    ["tenants create Lab", /a-z/],
    ["tenants show x", /^There is no tenant 'x'\.\n$/],
    ["tenants set x --queue-share 2", /^--queue-share must be a number above 0, up to 1, not "2"\.\n$/],
    ["audit --limit 0", /^--limit must be a whole number from 1 to 1000, not "0"\.\n$/],
    ["audit extra", /^Unknown argument: extra/],
  ];
  it("answers each mistake with a sentence, and changes nothing", async () => {
    for (const [line, says] of mistakes) {
      const { code, stdout, stderr } = await sgnet(...line.split(" "));
      assert.deepEqual([code, stdout], [1, ""], line);
      assert.match(stderr, says, line);
    }
    await json("keys", "create", "al");
    assert.match((await sgnet("keys", "create", "al")).stderr, /^There is a key 'al' already\.\n$/);
    const failed = JSON.parse((await sgnet("keys", "show", "x", "--json")).stdout) as JsonObject;
    assert.deepEqual(failed, { error: { code: "record_not_found", message: "There is no key 'x'." } });
    assert.equal((await json<JsonObject[]>("keys", "list")).length, 1);
  });

  it("has the entries of dead letters and workers, one for many letters", async () => {
    for (const id of ["g1.1", "g1.2"]) {
      const task = aTask({ id, endpoint: "ollama-generate", model: "tiny", body: Buffer.from("{}") });
      await leaveDeadLetter(rig.connection, KEYS, task);
    }
    assert.equal((await sgnet("dead", "drop", "--all", "--model", "tiny")).code, 0);
    const { registry } = openStores(rig.connection, KEYS);
    const process = { version: "0", host: "gpu1", pid: 1, startedAt: 0, seenAt: Date.now() };
    await registry.announceWorker({ ...process, id: "w1", draining: false, backends: [] }, false);
    await json("drain", "gpu1");
    const log = await json<DatedAuditEntry[]>("audit");
    const told = log.map(({ action, target, outcome }) => [action, target, outcome]).toReversed();
    assert.deepEqual(told[0], ["dead.drop", "all letters of tiny (2)", "sent"]);
    assert.deepEqual(told[1], ["workers.drain", "w1", "sent"]);
  });
});

describe("the audit log on a terminal", () => {
  it("is a table, without control sequences", () => {
    const entry: DatedAuditEntry = {
      id: "1000-0",
      at: 1000,
      action: "keys.set",
      target: "a\u001B[2J",
      who: "root",
      from: "10.0.0.7",
      outcome: "refused",
      changes: { rpm: 60, models: ["a"], expires: null, tenant: "lab" },
      more: 3,
    };
    assert.equal(
      renderAudit([entry]),
      `Actions of admins
  when                      who   from      action    target      changes                                      outcome
  1970-01-01T00:00:01.000Z  root  10.0.0.7  keys.set  a\\u001b[2J  rpm=60 models=["a"] expires=null tenant=lab  refused (and 3 more)
`,
    );
    assert.equal(renderAudit([]), "Actions of admins: none\n");
  });
});
