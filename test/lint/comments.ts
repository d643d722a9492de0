import type { Block } from "./markdown.ts";

/** The beginning of a line comment, by the end of a file's name. */
const MARKS: Readonly<Record<string, RegExp>> = { lua: /^\s*---?\s?/ };
const USUAL_MARK = /^\s*#+\s?/;

/** A directive, a setting and, but in Lua, an indented sample of code are no prose. */
const NO_PROSE = /^(?:!|[\w.-]+=\S*$)/;
const SAMPLE = /^\s{2}/;

/** A field of a header, such as "KEYS[1]: …" or "tasks: …", begins a sentence, and its name is the subject. */
const FIELD = /^(\w+(?:\[[^\]]*\])?):\s+/;

/** Parts the line comments of a file that oxlint does not read: Lua, Makefile, YAML, units. Lines in a row are one. */
export function commentsOf(file: string, source: string): Block[] {
  const known = MARKS[file.split(".").at(-1) ?? ""];
  const mark = known ?? USUAL_MARK;
  const blocks: { line: number; prose: string; last: number }[] = [];
  for (const [index, each] of source.split("\n").entries()) {
    if (!mark.test(each)) continue;
    const text = each.replace(mark, "");
    if (NO_PROSE.test(text) || (known === undefined && SAMPLE.test(text))) continue;
    const isField = FIELD.test(text);
    const prose = text.replace(FIELD, "$1 ");
    const before = blocks.at(-1);
    if (before?.last === index - 1 && !isField) {
      before.prose += `\n${prose}`;
      before.last = index;
    } else blocks.push({ line: index + 1, prose, last: index });
  }
  return blocks.map(({ line, prose }) => ({ line, prose, isTitle: false }));
}
