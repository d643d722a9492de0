import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A name of a file or an export, and where it stands. */
export interface Name {
  readonly name: string;
  readonly file: string;
}

const EXPORT = /^export (?:declare |abstract |async )*(?:class|interface|type|function\*?|const|let) (\w+)/gm;

/** Names of files and folders below `src`, without their ends. */
export function fileNames(root: string): Name[] {
  return sources(root).flatMap((file) =>
    file
      .replace(/\.\w+$/, "")
      .split("/")
      .slice(1)
      .map((name) => ({ name, file })),
  );
}

/** Names that files below `src` export. */
export function exportedNames(root: string): Name[] {
  return sources(root)
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) =>
      Array.from(readFileSync(join(root, file), "utf8").matchAll(EXPORT), ([, name = ""]) => ({
        name,
        file,
      })),
    );
}

function sources(root: string): string[] {
  return globSync("src/**/*.*", { cwd: root })
    .map((file) => file.replaceAll("\\", "/"))
    .toSorted();
}

/** Splits a name into words in lower case: `HttpReply`, `http-reply` and `HTTP_REPLY` have the same. */
export function wordsOf(name: string): string[] {
  return name
    .split(/[-_.,\s]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)
    .filter((word) => /[A-Za-z]/.test(word))
    .map((word) => word.toLowerCase());
}

/** A word and what it may be a form of: "queues" and "queued" of "queue", "dropping" of "drop". */
export function formsOf(word: string): string[] {
  const forms = [word];
  const add = (end: RegExp, ...starts: string[]): void => {
    if (!end.test(word)) return;
    for (const start of starts) forms.push(word.replace(end, start));
  };
  add(/ies$/, "y");
  add(/es$/, "");
  add(/s$/, "");
  add(/ied$/, "y");
  add(/ed$/, "", "e");
  add(/ing$/, "", "e");
  add(/([b-df-hj-np-tv-z])\1(?:ed|ing)$/, "$1");
  return forms;
}
