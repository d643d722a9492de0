import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { letterBytes, renderLetter, renderLetters } from "../../src/commands/dead-view.ts";
import { Keys } from "../../src/redis/keys.ts";
import type { LetterFacts } from "../../src/redis/letter-facts.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { newFolder, runCommand } from "../rig/command.ts";
import { aTask } from "../rig/task.ts";
import { leaveDeadLetter } from "../rig/dead-letter.ts";

const SECRET = "the prompt nobody may see";

const LETTER: LetterFacts = {
  id: "1000-0",
  at: 1000,
  model: "tiny\u001B[2J",
  code: "delivery_limit",
  message: "no worker answered in 3 deliveries",
  deliveries: 4,
  worker: "w1",
  task: "g1.1",
  request: "r1",
  endpoint: "openai-chat",
  stream: true,
  acceptedAt: 0,
  bodyBytes: 12,
};

describe("dead letters on a terminal", () => {
  it("are a table", () => {
    assert.equal(
      renderLetters([LETTER], { now: 61_000, left: 2 }),
      `Dead letters
  id      given up   model          endpoint     reason          deliveries  last worker  request
  1000-0  1 min ago  tiny\\u001b[2J  openai-chat  delivery_limit           4  w1           r1
  and 2 older ones: --json lists all
`,
    );
    assert.equal(renderLetters([], { now: 0, left: -200 }), "Dead letters: none\n");
  });

  it("are told one by one, with the body only when it is wanted", () => {
    const told = renderLetter(LETTER);
    assert.match(told, /^Dead letter 1000-0\n {2}model {8}tiny\\u001b\[2J\n {2}reason {7}delivery_limit: no/);
    assert.match(told, /endpoint {5}openai-chat, as a stream\n/);
    assert.match(letterBytes(LETTER, Buffer.from("{}")).toString(), /body {9}12 bytes\n\n\{\}\n$/);
    assert.match(renderLetter({ ...LETTER, bodyBytes: undefined }), /body {9}no longer kept\n$/);
  });
});

describe("sgnet dead", () => {
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

  const lay = async (
    model: string,
    request: string,
    body: Buffer = Buffer.from(JSON.stringify({ model, prompt: SECRET })),
  ): Promise<void> => {
    const ids = { id: `g1.${request}`, requestId: request, model };
    const times = { createdAt: 1, deadline: 2 };
    const task = aTask({ endpoint: "ollama-generate", stream: false, ...times, ...ids, body });
    await leaveDeadLetter(rig.connection, new Keys("sgnet"), task);
  };
  const dead = (...args: string[]) =>
    runCommand(["dead", ...args], { cwd: folder.path, env: { REDIS_URL: rig.server.url } });

  it("lists and shows without the prompt, and with it when asked", async () => {
    await lay("tiny", "r1");
    await lay("other", "r2");
    const listed = await dead("list");
    assert.equal(listed.code, 0);
    assert.match(listed.stdout, /r1/);
    assert.match(listed.stdout, /r2/);
    const ofOne = JSON.parse(
      (await dead("list", "--model", "tiny:latest", "--json")).stdout,
    ) as LetterFacts[];
    assert.deepEqual(
      ofOne.map(({ request, bodyBytes }) => [request, bodyBytes]),
      [["r1", 53]],
    );
    const id = ofOne[0]?.id ?? "";
    // Letters of two models that are laid within one ms have the same id.
    for (const name of [[id, "--model", "tiny"], ["r1"], ["g1.r1"]]) {
      assert.match((await dead("show", ...name)).stdout, new RegExp(`^Dead letter ${id}\n`));
    }
    const shown = await dead("show", "r1", "--json");
    assert.ok(!(listed.stdout + shown.stdout).includes(SECRET));
    assert.match((await dead("show", "r1", "--body")).stdout, new RegExp(SECRET));
    const whole = JSON.parse((await dead("show", "r1", "--body", "--json")).stdout) as { body: string };
    assert.match(whole.body, new RegExp(SECRET));
  });

  it("shows a body that is no text as it came, and in base64 to programs", async () => {
    const body = Buffer.from([0x2d, 0x2d, 0x62, 0x0d, 0x0a, 0xff, 0xfe, 0x00]);
    await lay("whisper", "r9", body);
    const told = JSON.parse((await dead("show", "r9", "--body", "--json")).stdout) as Record<string, unknown>;
    assert.equal(told["bodyBase64"], body.toString("base64"));
    assert.equal(told["body"], undefined);
    assert.match((await dead("show", "r9", "--body")).stdout, /body {9}8 bytes\n\n--b\r\n/);
  });

  it("removes one, or all of a model", async () => {
    for (const [model, request] of [
      ["tiny", "r1"],
      ["tiny", "r2"],
      ["other", "r3"],
    ] as const) {
      await lay(model, request);
    }
    assert.equal((await dead("drop", "r1")).stdout, "1 dead letter removed.\n");
    assert.equal((await dead("drop", "--all", "--model", "tiny")).stdout, "1 dead letter removed.\n");
    const left = JSON.parse((await dead("list", "--json")).stdout) as LetterFacts[];
    assert.deepEqual(
      left.map(({ request }) => request),
      ["r3"],
    );
  });

  it("keeps a letter that cannot run now", async () => {
    await lay("tiny", "r1");
    const { code, stdout, stderr } = await dead("retry", "r1");
    assert.match(stderr, /of tiny: no worker offers this model now\n/);
    assert.equal(stdout, "");
    assert.equal(code, 1);
    assert.match((await dead()).stdout, /r1/);
  });

  const MISTAKES: readonly (readonly [readonly string[], RegExp])[] = [
    [["burn"], /^sgnet dead takes list, show, retry or drop, not burn\.\n$/],
    [["show"], /^An ID is missing: sgnet dead show ID\. sgnet dead list shows them\.\n$/],
    [["drop", "x"], /^There is no dead letter x: sgnet dead list shows them\.\n$/],
    [["drop", "x", "--all"], /^ID and --all exclude each other\.\n$/],
  ];
  for (const [args, sentence] of MISTAKES) {
    it(`ends ${args.join(" ")} with one sentence`, async () => {
      const { code, stderr } = await dead(...args);
      assert.match(stderr, sentence);
      assert.equal(code, 1);
    });
  }

  it("asks which of several letters is meant", async () => {
    await lay("tiny", "twice");
    await lay("other", "twice");
    assert.match(
      (await dead("show", "twice")).stderr,
      /^2 dead letters have the id twice: \S+ of (?:tiny|other), \S+ of (?:tiny|other)\. .*--model/,
    );
    assert.equal((await dead("drop", "twice", "--model", "tiny")).code, 0);
  });
});
