import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { commentsOf } from "./comments.ts";
import { blocksOf } from "./markdown.ts";
import type { Block } from "./markdown.ts";
import { problemsIn } from "./plain-english.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The first decision in plain English: older ones, and the changelog, are history and keep their words. */
const FIRST_DECISION = 48;

const PAGES = globSync(["*.md", "docs/*.md", "docs/decisions/*.md", "grafana/*.md"], { cwd: ROOT })
  .map((page) => page.replaceAll("\\", "/"))
  .filter((page) => page !== "CHANGELOG.md")
  .filter((page) => Number(/^docs\/decisions\/(\d+)/.exec(page)?.[1] ?? FIRST_DECISION) >= FIRST_DECISION);

/** Files with comments that oxlint does not read. */
const COMMENTED = globSync(
  [
    "src/redis/lua/**/*.lua",
    "Makefile",
    ".ci/run",
    ".env.example",
    "docs/deploy/*",
    "docs/*.acl",
    "grafana/**/*.{yaml,yml}",
  ],
  { cwd: ROOT },
).map((file) => file.replaceAll("\\", "/"));

function problemsOf(file: string, partsOf: (text: string) => Block[]): string[] {
  return partsOf(readFileSync(join(ROOT, file), "utf8")).flatMap(({ line, prose, isTitle }) =>
    problemsIn(prose, isTitle).map((problem) => `${file}:${line} ${problem}`),
  );
}

function inPage(page: string): string[] {
  return problemsOf(page, blocksOf);
}

function inComments(file: string): string[] {
  return problemsOf(file, (text) => commentsOf(file, text));
}

describe("the pages in plain English", () => {
  for (const page of PAGES.toSorted()) {
    it(page, () => assert.deepEqual(inPage(page), []));
  }
});

describe("comments of scripts and samples in plain English", () => {
  for (const file of COMMENTED.toSorted()) {
    it(file, () => assert.deepEqual(inComments(file), []));
  }
});
