import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { commentsOf } from "./comments.ts";
import { blocksOf } from "./markdown.ts";
import { problemsIn, proseOf } from "./plain-english.ts";

const ROOT = join(import.meta.dirname, "../..");

const TWENTY = "one two three four five six seven eight nine ten".repeat(2).replace("tenone", "ten one");

/** Prose, and the part of the problem that must be named; no part means that the prose is good. */
const SENTENCES: readonly (readonly [prose: string, problem?: string])[] = [
  ["Characters kept of an unknown model name."],
  ["Of a model's name that is not known this is kept.", 'opens with "Of"'],
  ["How to decide that a task is abandoned."],
  ["How long a stopping gateway accepts requests."],
  ["How often a task may be delivered."],
  ["How Ollama tells its clients about a fault.", 'opens with "How"'],
  ["Who waits for the task.", 'opens with "Who"'],
  ["Who is to blame?"],
  ["What a command takes.", 'opens with "What"'],
  ["Whoever claims first wins.", 'opens with "Whoever"'],
  ["Those in use stay.", 'opens with "Those"'],
  ["Those"],
  ["The settings that nobody named.", 'has "nobody"'],
  ["A gateway announces himself.", 'has "himself"'],
  ["The queue, not so much the stream.", 'has "so much"'],
  ["The worker is told of its loss.", 'has "told of"'],
  ["A busy worker is taken for a lost one.", 'has "taken for"'],
  [TWENTY],
  [`${TWENTY} eleven`, "has 21 words"],
  [`${TWENTY.slice(0, 40)}: ${TWENTY}`],
  [`The list is \`${TWENTY} one two three\`, in order.`],
  ["One fact: what it means.", 'opens with "what"'],
  ["One fact. Of others.", 'opens with "Of"'],
  ["- one item\n- of another one", 'opens with "of"'],
  ["Reads a task.\n@param task of the client\n@returns those that are left", 'opens with "those"'],
  ["Reads a task.\n@param task of the client\n@throws {Fault} when it is lost"],
  [`@param task as it came\n@param stop ends the wait\nRejects with a fault when ${TWENTY.slice(0, 70)}`],
  ["See {@link Task} and [the page](https://example.org/of/a/page)."],
];

describe("the rule for plain English", () => {
  for (const [prose, problem] of SENTENCES) {
    it(`${problem === undefined ? "passes" : "finds"}: ${prose.slice(0, 60).replaceAll("\n", " ")}`, () => {
      const found = problemsIn(prose);
      if (problem === undefined) assert.deepEqual(found, []);
      else assert.ok(found.length === 1 && found[0]?.startsWith(problem) === true, found.join("; "));
    });
  }

  it("lets titles open with any word, and bounds their length", () => {
    assert.deepEqual(problemsIn("What to watch", true), []);
    assert.equal(problemsIn(`${TWENTY} eleven`, true).length, 1);
  });

  it("reads comments without their stars", () => {
    assert.equal(proseOf("*\n * One line,\n * and another.\n "), "One line,\nand another.");
  });
});

describe("the blocks of a page", () => {
  it("are its paragraphs, titles and cells, with the lines where they begin", () => {
    const page = [
      "# What it is",
      "",
      "Two lines of **one** paragraph",
      "with [a link](https://example.org) and `code`.",
      "",
      "| what | means |",
      "| ---- | ----- |",
      "| `a`  | the \\| bar |",
      "",
      "```sh",
      "of code nothing is read",
      "```",
      '<img src="x" alt="of a picture" />',
    ].join("\n");
    assert.deepEqual(
      blocksOf(page).map(({ line, prose, isTitle }) => [line, prose.trim(), isTitle]),
      [
        [1, "What it is", true],
        [3, "Two lines of one paragraph\nwith a link and `code`.", false],
        [6, "what", true],
        [6, "means", true],
        [8, "`a`", false],
        [8, "the \\| bar", false],
      ],
    );
  });
});

describe("the comments of a script or a sample", () => {
  it("are read with their lines, without code that they show", () => {
    const lua = "-- KEYS[1]: the queue\n-- and more\n-- KEYS[2]: another\nlocal a = 1 -- one\n-- Who waits.";
    assert.deepEqual(
      commentsOf("a.lua", lua).map(({ line, prose }) => [line, prose]),
      [
        [1, "KEYS[1] the queue\nand more"],
        [3, "KEYS[2] another"],
        [5, "Who waits."],
      ],
    );
    const sample = "#!/bin/sh\n# Set this,\n# SGNET_PREFIX=a\n\tkey: 1\n\t# or that.";
    assert.deepEqual(
      commentsOf("run", sample).map(({ line, prose }) => [line, prose]),
      [
        [2, "Set this,"],
        [5, "or that."],
      ],
    );
  });
});

const SOURCE = `
/** Of a task. */
export const first = 1;
// Whoever reads
// this comment.
export const second = \`what the value \${first} means to us\`;
export const third = "a text that is put " + "together, of two " + "halves";
export const fourth = "so nobody reads " + String(first) + " of these lines";
export const list = "model max_tokens of what stop";
`;

async function lint(folder: string, rule: unknown): Promise<string[]> {
  const config = {
    plugins: [],
    categories: { correctness: "off" },
    jsPlugins: [join(ROOT, "test/lint/plugin.ts")],
    rules: { "sgnet/plain-english": rule },
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "bad.ts"), SOURCE);
  const oxlint = join(ROOT, "node_modules/oxlint/bin/oxlint");
  const command = [oxlint, "--config", "config.json", "--format", "unix", "bad.ts"];
  const run = promisify(execFile)(process.execPath, command, { cwd: folder });
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  return Array.from(stdout.matchAll(/bad\.ts:(\d+):\d+: (.*?): "/g), ([, line, text]) => `${line} ${text}`);
}

describe("oxlint with the rule for plain English", () => {
  it("reports comments, texts, templates and texts that are put together", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sgnet-english-"));
    t.after(() => rm(folder, { recursive: true }));
    assert.deepEqual(await lint(folder, "error"), [
      '2 This sentence opens with "Of"',
      '4 This sentence opens with "Whoever"',
      '6 This text opens with "what"',
      '8 This text has "nobody"',
    ]);
  });

  it("leaves texts alone where its option says so", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sgnet-english-"));
    t.after(() => rm(folder, { recursive: true }));
    assert.deepEqual(await lint(folder, ["error", { strings: false }]), [
      '2 This sentence opens with "Of"',
      '4 This sentence opens with "Whoever"',
    ]);
  });
});
