import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { promisify } from "node:util";
import { superLinear } from "./linear-regex.ts";

const ROOT = join(import.meta.dirname, "../..");

const BAD: Readonly<Record<string, RegExp>> = {
  "the key's, that stalled a gateway": /^bearer\s+(.*)$/i,
  "blanks at an end": /\s+$/,
  "slashes at an end": /\/+$/,
  "two stars": /^a[^/]*b[^/]*c$/,
  "a list with blanks before its commas": /^\w+(?:\s*,?\s*\w+)*$/,
  "nested repeats": /^(?:\d+)+$/,
};

const fields = (count: number, modifier = ""): string =>
  Array.from({ length: count }, (_none, at) => `${modifier}f${at} = 1;`).join(" ");
const members = (count: number): string =>
  Array.from({ length: count }, (_none, at) => `  readonly f${at}: number;\n`).join("");

/** Sources, and what the rules find in each: the line and the rule. */
const SOURCES: Readonly<Record<string, readonly [source: string, found: readonly string[]]>> = {
  "a class with 15 mutable fields": [`export class A { ${fields(15, "#")} }`, []],
  "a class with 16 mutable fields": [
    `export class A { ${fields(16, "#")} }`,
    ["1 class-fields: at most 15 mutable fields, this one has 16"],
  ],
  "private and static fields, which count as well": [
    `export class A { private a = 1; static #s = 1; ${fields(14, "#")} }`,
    ["1 class-fields: at most 15 mutable fields, this one has 16"],
  ],
  "readonly fields, which do not count": [`export class A { ${fields(30, "readonly ")} }`, []],
  "public fields, declared, protected and static ones too": [
    "export class A {\n  a = 1;\n  public b?: number;\n  static c = 1;\n  protected d = 1;\n  e = () => 1;\n}",
    [2, 3, 4, 5, 6].map((line) => `${line} class-fields: A public field is readonly`),
  ],
  "a field of an expression, and an abstract one": [
    "export const A = class {\n  a = 1;\n};\nexport abstract class B {\n  abstract b: number;\n}",
    [2, 5].map((line) => `${line} class-fields: A public field is readonly`),
  ],
  "a setter, by which others write as well": [
    "export class A {\n  #a = 1;\n  set a(to: number) { this.#a = to; }\n}",
    ["3 class-fields: A public field is readonly"],
  ],
  "getters, methods and readonly fields": [
    "export class A {\n  readonly a = 1;\n  static readonly b = 1;\n  private c = 1;\n  #d = 1;\n  get d(): number { return this.#d; }\n  e(): void {}\n}",
    [],
  ],
  "options with 8 members": [`export interface RunOptions {\n${members(8)}}`, []],
  "options with 9 members": [
    `export interface RunOptions {\n${members(9)}}`,
    ["1 wide-interface: at most 8 fields, this one has 9"],
  ],
  "a host with 9 members, of which 2 are methods": [
    `interface RunHost {\n${members(7)}  a(): void;\n  b: () => void;\n}`,
    ["1 wide-interface: at most 8 fields, this one has 9"],
  ],
  "a record with 9 members, which no caller fills": [
    `export interface Run {\n${members(9)}}\nexport function a(run: Run, more: number): void {}`,
    [],
  ],
  "the only parameter of a constructor": [
    `interface Run {\n${members(9)}}\nexport class A { constructor({ f0 }: Run) {} }`,
    ["1 wide-interface: at most 8 fields, this one has 9"],
  ],
  "the only parameter of an exported function": [
    `export function a(run: Readonly<Run>): void {}\ninterface Run {\n${members(9)}}`,
    ["2 wide-interface: at most 8 fields, this one has 9"],
  ],
  "the only parameter of an exported arrow, with a default": [
    `interface Run {\n${members(9)}}\nexport const a = async ({ f0 }: Partial<Run> = {}): Promise<void> => {};`,
    ["1 wide-interface: at most 8 fields, this one has 9"],
  ],
  "a type without a name": [
    `export class A { constructor(options: {\n${members(9)}}) {} }`,
    ["1 wide-interface: at most 8 fields, this one has 9"],
  ],
  "a part of an interface": [
    `interface Run {\n${members(9)}}\nexport function a(run: Pick<Run, "f0">): void {}`,
    [],
  ],
  "inherited members, which do not count": [
    `interface Run {\n${members(8)}}\nexport interface RunOptions extends Run {\n${members(8)}}`,
    [],
  ],
  "a reason after the declaration": [
    `export interface RunOptions {\n  // 9 fields: one per flag\n${members(9)}}`,
    [],
  ],
  "a reason before the declaration": [
    `// 9 fields: one per flag\nexport interface RunOptions {\n${members(9)}}`,
    [],
  ],
  "a reason on its line": [`export interface RunOptions { // 9 fields: one per flag\n${members(9)}}`, []],
  "a reason for another count": [
    `export interface RunOptions {\n  // 9 fields: one per flag\n${members(10)}}`,
    ["1 wide-interface: at most 8 fields, this one has 10"],
  ],
  "a comment that is no reason": [
    `/** 9 fields: documented. */\nexport interface RunOptions {\n  // some fields\n${members(9)}}`,
    ["2 wide-interface: at most 8 fields, this one has 9"],
  ],
  "a reason that is far away": [
    `export interface RunOptions {\n${members(9)}  // 9 fields: one per flag\n}`,
    ["1 wide-interface: at most 8 fields, this one has 9"],
  ],
};

/** Lints all sources in one run. */
async function findingsIn(folder: string, sources: readonly string[]): Promise<string[][]> {
  const config = {
    plugins: [],
    categories: { correctness: "off" },
    jsPlugins: [join(ROOT, "test/lint/plugin.ts")],
    rules: { "sgnet/class-fields": "error", "sgnet/wide-interface": "error" },
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await Promise.all(sources.map((source, at) => writeFile(join(folder, `source-${at}.ts`), source)));
  const oxlint = join(ROOT, "node_modules/oxlint/bin/oxlint");
  const command = [oxlint, "--config", "config.json", "--format", "unix", "."];
  const run = promisify(execFile)(process.execPath, command, { cwd: folder });
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  const found = Array.from(
    stdout.matchAll(/source-(\d+)\.ts:(\d+):\d+: (.*?) \[Error\/sgnet\((.*?)\)\]/g),
    ([, at, line, text = "", rule]) => {
      const fact = /at most \d+ .*? has \d+|A public field is readonly/.exec(text)?.[0];
      return { at: Number(at), line: Number(line), text: `${line} ${rule}: ${fact}` };
    },
  ).toSorted((one, other) => one.line - other.line);
  return sources.map((_source, at) => found.filter((one) => one.at === at).map(({ text }) => text));
}

describe("the rules for fields of classes and of options bags", () => {
  let found: string[][] = [];

  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), "sgnet-fields-"));
    const sources = Object.values(SOURCES).map(([source]) => source);
    found = await findingsIn(folder, sources);
    await rm(folder, { recursive: true });
  });

  for (const [at, [name, [, expected]]] of Object.entries(SOURCES).entries()) {
    it(`find in ${name}: ${expected.length === 0 ? "nothing" : expected.length}`, () => {
      assert.deepEqual(found[at], expected);
    });
  }
});

describe("the lint rules of the house", () => {
  for (const [name, { source, flags }] of Object.entries(BAD)) {
    it(`tell of an expression that backtracks: ${name}`, () => {
      assert.notDeepEqual(superLinear(source, flags), []);
    });
  }

  it("let an expression pass that matches in one way only", () => {
    for (const { source, flags } of [/^[\w.:@/+=-]{1,128}$/, /^\d+-\d+$/, /[\r\n\0]+/gu, /^data:[^;,]*,/i]) {
      assert.deepEqual(superLinear(source, flags), []);
    }
  });

  it("fail the run of oxlint, with the file and what to do", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sgnet-lint-"));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, "bad.ts");
    const lines = [
      "export const key = (text: string): boolean => /^bearer\\s+(.*)$/i.test(text);",
      "export const built = (text: string): RegExp => new RegExp(text);",
      "export const gather = (to: number[], from: number[]): number => to.push(...from);",
    ];
    await writeFile(file, lines.join("\n"));
    const oxlint = join(ROOT, "node_modules/oxlint/bin/oxlint");
    const run = promisify(execFile)(process.execPath, [oxlint, "--config", ".oxlintrc.json", file], {
      cwd: ROOT,
    });
    await assert.rejects(run, ({ stdout }: { stdout: string }) => {
      assert.match(stdout, /linear-regex.{1,20}The time of .{1,40}bearer/s);
      assert.match(stdout, /An expression that is put together cannot be checked/);
      assert.match(stdout, /no-wide-spread.{1,20}push/s);
      return true;
    });
  });
});
