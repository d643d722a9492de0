/** A paragraph, a list, a title or a cell of a table. */
export interface Block {
  /** The first line of it, from 1. */
  readonly line: number;
  readonly prose: string;
  /** True for the title of a section or a column. */
  readonly isTitle: boolean;
}

const FENCE = /^\s*(?:```|~~~)/;
const TITLE = /^#+\s/;
const RULE_OF_TABLE = /^\s*\|[\s|:-]+\|\s*$/;

/** Parts a Markdown page into what people read. Code, HTML and the targets of links are left out. */
export function blocksOf(page: string): Block[] {
  const lines = page.split("\n");
  const blocks: Block[] = [];
  let inCode = false;
  let open: { line: number; prose: string } | undefined;

  function add(line: number, prose: string, isTitle: boolean): void {
    const plain = withoutMarks(prose);
    if (plain.trim() !== "") blocks.push({ line, prose: plain, isTitle });
  }
  function close(): void {
    if (open !== undefined) add(open.line, open.prose, false);
    open = undefined;
  }

  for (const [index, text] of lines.entries()) {
    const line = index + 1;
    const isFence = FENCE.test(text);
    if (isFence) inCode = !inCode;
    if (isFence || inCode || RULE_OF_TABLE.test(text)) close();
    else if (TITLE.test(text)) {
      close();
      add(line, text.replace(TITLE, ""), true);
    } else if (/^\s*\|/.test(text)) {
      close();
      const isTitle = RULE_OF_TABLE.test(lines[index + 1] ?? "");
      for (const cell of cellsOf(text)) add(line, cell, isTitle);
    } else if (text.trim() === "") close();
    else if (open === undefined) open = { line, prose: text };
    else open.prose += `\n${text}`;
  }
  close();
  return blocks;
}

/** A bar within code is no end of a cell where a backslash stands before it. */
function cellsOf(row: string): string[] {
  return row.split(/(?<!\\)\|/).slice(1, -1);
}

/** Pictures and HTML go, emphasis and links leave their words. */
function withoutMarks(prose: string): string {
  return prose
    .replaceAll(/!\[[^\]]*\]\([^)]*\)/g, "")
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/<[^>]*>/g, "")
    .replaceAll(/^>\s?/gm, "")
    .replaceAll(/(?<![\w`])[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}(?![\w`])/g, "");
}
