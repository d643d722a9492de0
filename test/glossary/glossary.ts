import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Entry {
  readonly term: string;
  readonly meaning: string;
}

const ROW = /^\| \*\*(.+?)\*\*\s*\| (.+?)\s*\|$/gm;

/** The rows of `docs/glossary.md`. */
export function readGlossary(root: string): Entry[] {
  const page = readFileSync(join(root, "docs/glossary.md"), "utf8");
  return Array.from(page.matchAll(ROW), ([, term = "", meaning = ""]) => ({ term, meaning }));
}

/** The words of `test/fixtures/common-words.txt`: several in a line, `#` begins a comment. */
export function readCommonWords(root: string): string[] {
  return readFileSync(join(root, "test/fixtures/common-words.txt"), "utf8")
    .replaceAll(/#.*$/gm, "")
    .split(/\s+/)
    .filter((word) => word !== "");
}

/** Says what is wrong with an entry: one word has one meaning. */
export function flawsOf(entries: readonly Entry[]): string[] {
  const seen = new Set<string>();
  return entries.flatMap(({ term, meaning }) => {
    const flaws: string[] = [];
    const key = term.toLowerCase();
    if (seen.has(key)) flaws.push(`${term} is defined twice`);
    seen.add(key);
    if (/^(?:and|or|also)\b/i.test(meaning)) flaws.push(`${term}: the meaning goes on with another one`);
    if (/(?:^|\s)(?:\(?[1-9a-c]\)|[12]\.)\s/.test(meaning)) flaws.push(`${term} has numbered meanings`);
    if (/(?:^|;\s*)(?:of|to|for|in) (?:an? |the )?[\w-]+:/i.test(meaning)) {
      flaws.push(`${term} means another thing elsewhere`);
    }
    return flaws;
  });
}
