import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { flawsOf, readCommonWords, readGlossary } from "./glossary/glossary.ts";
import type { Entry } from "./glossary/glossary.ts";
import { COMING, OLD_NAMES, OLD_WORDS, STRANGE, TWICE } from "./glossary/left.ts";
import { exportedNames, fileNames, formsOf, wordsOf } from "./glossary/names.ts";
import type { Name } from "./glossary/names.ts";
import { RETIRED_NAMES, retiredIn } from "./glossary/retired.ts";

const ROOT = join(import.meta.dirname, "..");
const GLOSSARY = readGlossary(ROOT);
const COMMON = readCommonWords(ROOT);
const FILES = fileNames(ROOT);
const NAMES = [...FILES, ...exportedNames(ROOT)];

/** Pages and sources. Decisions and the changelog are history, and keep their words. */
const TEXTS = globSync(["src/**/*.{ts,lua,js,html}", "docs/*.md", "*.md"], { cwd: ROOT })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file !== "CHANGELOG.md");

/** Tools and tests, which have no retired words either. The rule itself names them. */
const TOOLS = globSync("{test,bench,packaging,grafana}/**/*.ts", { cwd: ROOT })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => !/^test\/(?:fixtures\/|glossary)/.test(file));

/** Finds words of names that are in no list, with one name and file each. */
function strangeWords(
  names: readonly Name[],
  entries: readonly Entry[],
  common: readonly string[],
): string[] {
  const known = new Set([...entries.flatMap(({ term }) => wordsOf(term)), ...common]);
  const found = new Map<string, string>();
  for (const { name, file } of names) {
    for (const word of wordsOf(name)) {
      // A retired word has a rule of its own.
      if (retiredFormOf(word) !== undefined) continue;
      if (!formsOf(word).some((form) => known.has(form))) found.set(word, `${name} in ${file}`);
    }
  }
  return Array.from(found, ([word, where]) => `${word}: ${where}`);
}

/** Finds names that several files declare. */
function declaredTwice(names: readonly Name[]): string[] {
  const files = new Map<string, Set<string>>();
  for (const { name, file } of names) files.set(name, (files.get(name) ?? new Set()).add(file));
  return Array.from(files, ([name, all]) => ({ name, all: [...all] }))
    .filter(({ all }) => all.length > 1)
    .map(({ name, all }) => `${name}: ${all.join(", ")}`);
}

function retiredFormOf(word: string): string | undefined {
  return [word, word.replace(/s$/, "")].find((form) => Object.hasOwn(RETIRED_NAMES, form));
}

/** Retired words that names have: `gate` in `GateState` and `gates`. */
function retiredNames(names: readonly Name[]): string[] {
  const found = new Map<string, string>();
  for (const { name, file } of names) {
    for (const word of wordsOf(name)) {
      const old = retiredFormOf(word);
      if (old !== undefined) found.set(old, `${name} in ${file}, say ${RETIRED_NAMES[old]}`);
    }
  }
  return Array.from(found, ([word, where]) => `${word}: ${where}`);
}

/** Terms that no text has, as words beside each other or in one identifier, in any form. */
function unusedTerms(entries: readonly Entry[], texts: readonly string[]): string[] {
  const all = ` ${texts.flatMap((text) => wordsOf(text.replaceAll(/[^A-Za-z0-9]+/g, " "))).join(" ")} `;
  return entries
    .flatMap(({ term }) => term.split(", "))
    .filter((term) => {
      const words = wordsOf(term).join(" ");
      return !new RegExp(` ${words.replace(/y$/, "(?:y|ies)")}(?:s|es|d|ed|ing)? `).test(all);
    });
}

/** Compares what was found, each `word: where`, with the exceptions. */
function assertOnly(
  found: readonly string[],
  exceptions: Readonly<Record<string, string>>,
  advice = "rename these, or put their words into docs/glossary.md or test/fixtures/common-words.txt",
): void {
  const words = new Set(found.map((line) => line.split(": ")[0] ?? ""));
  assert.deepEqual(
    found.filter((line) => !Object.hasOwn(exceptions, line.split(": ")[0] ?? "")),
    [],
    advice,
  );
  assert.deepEqual(
    Object.keys(exceptions).filter((word) => !words.has(word)),
    [],
    "these exceptions of test/glossary/left.ts are not needed any more",
  );
}

describe("the glossary", () => {
  it("or the list of common words has every word of a name", () => {
    assertOnly(strangeWords(NAMES, GLOSSARY, COMMON), STRANGE);
  });

  it("gives each word one meaning", () => {
    assert.ok(GLOSSARY.length > 100);
    assert.deepEqual(flawsOf(GLOSSARY), []);
  });

  it("has no word that sources and pages do not use", () => {
    const texts = TEXTS.filter((file) => file !== "docs/glossary.md").map((file) =>
      readFileSync(join(ROOT, file), "utf8"),
    );
    assertOnly(
      unusedTerms(GLOSSARY, texts).map((term) => `${term}: docs/glossary.md`),
      COMING,
      "take these out of docs/glossary.md",
    );
  });

  it("is in the order of the alphabet", () => {
    const terms = GLOSSARY.map(({ term }) => term);
    assert.deepEqual(terms, terms.toSorted());
  });

  it("is joined by a list of common words that has none twice within a section", () => {
    const sections = readFileSync(join(ROOT, "test/fixtures/common-words.txt"), "utf8").split(/^#.*$/m);
    const twice = sections.flatMap((section) => {
      const words = section.split(/\s+/).filter((word) => word !== "");
      return words.filter((word, index) => words.indexOf(word) !== index);
    });
    assert.deepEqual(twice, []);
  });
});

describe("names in the source", () => {
  it("mean one thing: none is declared in two files", () => {
    assertOnly(declaredTwice(exportedNames(ROOT)), TWICE, "give these different names");
  });

  it("have no retired word", () => {
    assertOnly(retiredNames(NAMES), OLD_NAMES, "use the words of the trade");
  });
});

describe("sentences of sources and pages", () => {
  it("have no retired word", () => {
    const found = [...TEXTS, ...TOOLS]
      .filter((file) => !OLD_WORDS.includes(file))
      .flatMap((file) => retiredIn(readFileSync(join(ROOT, file), "utf8")).map((word) => `${file}:${word}`));
    assert.deepEqual(found, []);
  });

  it("are excepted only where they have some", () => {
    const clean = OLD_WORDS.filter((old) =>
      [...TEXTS, ...TOOLS]
        .filter((file) => file === old)
        .every((file) => retiredIn(readFileSync(join(ROOT, file), "utf8")).length === 0),
    );
    assert.deepEqual(clean, []);
  });
});

describe("the rules of the glossary", () => {
  const entries = [{ term: "reply router", meaning: "Passes frames on." }];

  it("find a strange word in a file, a class and a constant", () => {
    const names = ["reply-porches", "ReplyPorch", "REPLY_PORCH", "routerOfReplies"].map((name) => ({
      name,
      file: "src/a.ts",
    }));
    assert.deepEqual(strangeWords(names, entries, ["of"]), [
      "porches: reply-porches in src/a.ts",
      "porch: REPLY_PORCH in src/a.ts",
    ]);
  });

  it("take forms of a word for the word", () => {
    for (const [form, word] of [
      ["queues", "queue"],
      ["replies", "reply"],
      ["dropping", "drop"],
      ["claimed", "claim"],
      ["requeued", "requeue"],
      ["classes", "class"],
    ] as const) {
      assert.ok(formsOf(form).includes(word), form);
    }
    assert.ok(!formsOf("claimer").includes("claim"), "a part is no form of what it does");
  });

  it("find a word of the glossary without a use", () => {
    const terms = [{ term: "reply router, route", meaning: "x" }];
    assert.deepEqual(unusedTerms(terms, ["class ReplyRouter"]), ["route"]);
    assert.deepEqual(unusedTerms(terms, ["reply-routers", "routed"]), []);
  });

  it("find a name with two homes", () => {
    const names = [
      { name: "Frame", file: "src/a.ts" },
      { name: "Frame", file: "src/b.ts" },
      { name: "Task", file: "src/a.ts" },
    ];
    assert.deepEqual(declaredTwice(names), ["Frame: src/a.ts, src/b.ts"]);
  });

  it("find a word with two meanings", () => {
    assert.deepEqual(
      flawsOf([
        { term: "slot", meaning: "Room for one task." },
        { term: "Slot", meaning: "A share of a cluster." },
        { term: "heartbeat", meaning: "of a worker: the renewal of its leases; to a client: a sign of life" },
        { term: "part", meaning: "(1) a step (2) a piece" },
        { term: "tag", meaning: "and also a label" },
      ]),
      [
        "Slot is defined twice",
        "heartbeat means another thing elsewhere",
        "part has numbered meanings",
        "tag: the meaning goes on with another one",
      ],
    );
  });

  it("find retired words in sentences and identifiers", () => {
    const text =
      "the crew of a worker\nconst recruitStations = 1;\nHAND_BACK and hand-back.lua\nhanded back, hand-back";
    assert.deepEqual(retiredIn(text), [
      "1: crew (say assembly)",
      "2: recruit (say build)",
      "2: station (say backend slots)",
      "4: hand back (say requeue)",
      "4: handed back (say requeued)",
    ]);
    assert.deepEqual(retiredIn("A process gives memory back. The generation is camera-ready."), []);
    assert.deepEqual(retiredNames([{ name: "GateState", file: "src/a.ts" }]), [
      "gate: GateState in src/a.ts, say circuit breaker",
    ]);
    assert.deepEqual(retiredNames([{ name: "aggregate", file: "src/a.ts" }]), []);
  });
});
