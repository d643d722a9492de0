import type { Comment, Node, Rule } from "./rule.ts";

/** Most words of a sentence. */
const MOST_WORDS = 20;

/** A sentence opens with what it is about: these words hide that. Questions are free. */
const BLURRED_OPENERS = new Set(["what", "who", "whoever", "whom", "whose", "how", "of", "those"]);

const WORN_WORDS = [
  "nobody",
  "whoever",
  "whomever",
  "himself",
  "herself",
  "so much",
  "how-manieth",
  "taken for",
  "told of",
];

/** A measure or a way is a noun in all but form: "How long a task waits", "How to decide". */
const AFTER_HOW = new Set(["long", "many", "much", "often", "to"]);

/** Directives for tools, no prose. */
const DIRECTIVE = /^\s*(?:oxlint-|oxfmt-|@ts-|v8 |#!)/;

/**
 * Checks prose against the rule for plain English: one fact per sentence, the subject first, at most
 * {@link MOST_WORDS} words.
 * @param isTitle true for the title of a section or a column, which may open with any word
 * @returns one line for each sentence that breaks the rule
 */
export function problemsIn(prose: string, isTitle = false): string[] {
  return sentencesOf(prose).flatMap((sentence) => {
    const words = sentence.split(" ").filter((word) => /[\p{L}\p{N}]/u.test(word));
    const problem = problemOf(sentence, words, isTitle);
    return problem === undefined ? [] : [`${problem}: "${sentence}"`];
  });
}

function problemOf(sentence: string, words: readonly string[], isTitle: boolean): string | undefined {
  if (words.length > MOST_WORDS) return `has ${words.length} words, ${MOST_WORDS} are enough`;
  if (!isTitle && isBlurred(sentence, words)) return `opens with "${words[0]}"`;
  const padded = ` ${words.map((word) => word.toLowerCase().replaceAll(/[^\p{L}\p{N}'-]/gu, "")).join(" ")} `;
  const worn = WORN_WORDS.find((word) => padded.includes(` ${word} `));
  return worn === undefined ? undefined : `has "${worn}"`;
}

function isBlurred(sentence: string, words: readonly string[]): boolean {
  const [first = "", second = ""] = words.map((word) => word.toLowerCase());
  if (words.length < 2 || sentence.endsWith("?") || !BLURRED_OPENERS.has(first)) return false;
  return first !== "how" || !AFTER_HOW.has(second);
}

/**
 * Parts prose into sentences. Code, a link and a tag are one word each. A list item, a tag and a clause after a colon
 * begin a sentence. The name of a parameter is the subject of its description: "`@param task` of the client" opens
 * with "task".
 */
function sentencesOf(prose: string): string[] {
  const plain = prose
    .replaceAll(/`[^`]*`/g, "code")
    .replaceAll(/\{@link ([^}]*)\}/g, "$1")
    .replaceAll(/\]\([^)]*\)/g, "]")
    .replaceAll(/^\s*(?:[-*]|\d+\.)\s/gm, "\n\n")
    .replaceAll(/^\s*@throws\s+\{[^}]*\}/gm, "\n\n")
    .replaceAll(/^\s*@[a-z]+\s/gm, "\n\n")
    .replaceAll(/^\s*(?=Rejects? with\b)/gm, "\n\n");
  return plain
    .split(/\n\s*\n|(?<=[.!?:;][)"']?)\s/)
    .map((sentence) => sentence.replaceAll(/\s+/g, " ").trim())
    .filter((sentence) => sentence !== "");
}

/** The prose of a comment, without its stars. */
export function proseOf(comment: string): string {
  return comment.replaceAll(/^\s*\*+ ?/gm, "").trim();
}

/** Lines of `//` below each other are one comment. */
function joined(comments: readonly Comment[]): { readonly node: Comment; readonly prose: string }[] {
  const all: { node: Comment; prose: string; lastLine: number; isLine: boolean }[] = [];
  for (const node of comments) {
    if (DIRECTIVE.test(node.value)) continue;
    const { start, end } = node.loc;
    const before = all.at(-1);
    const isLine = node.type === "Line";
    if (isLine && before?.isLine === true && before.lastLine === start.line - 1) {
      before.prose += `\n${node.value.trim()}`;
      before.lastLine = end.line;
    } else all.push({ node, prose: proseOf(node.value), lastLine: end.line, isLine });
  }
  return all;
}

/** Names of fields with blanks between them, such as "model max_tokens stop". */
const LIST_OF_NAMES = /^(?=.*_)[\w$ ]+$/;

/** Texts for people have more than three words and none of the marks of code. */
function isProse(text: string): boolean {
  return text.split(" ").length > 3 && !/[{}<>=|]|^\s/.test(text) && !LIST_OF_NAMES.test(text);
}

/** Stands for a value within a text. */
const VALUE = "code";

/**
 * Reads the text of a literal, of a template, or of some of them put together with `+`.
 * @returns nothing for any other expression
 */
function textOf(node: Node): string | undefined {
  if (node.type === "Literal") return typeof node.value === "string" ? node.value : undefined;
  if (node.type === "TemplateLiteral") {
    return node.quasis?.map(({ value }) => value.cooked ?? "").join(VALUE);
  }
  if (node.type !== "BinaryExpression" || node.operator !== "+") return undefined;
  const left = node.left === undefined ? undefined : textOf(node.left);
  const right = node.right === undefined ? undefined : textOf(node.right);
  return left === undefined && right === undefined ? undefined : (left ?? VALUE) + (right ?? VALUE);
}

/**
 * Comments and texts for people are in plain English. With the option `{ "strings": false }` only comments are
 * checked: the names and data of tests are not read by users.
 */
export const plainEnglish: Rule = {
  meta: {
    schema: [{ type: "object", properties: { strings: { type: "boolean" } }, additionalProperties: false }],
  },
  create: (context) => {
    const checksStrings = context.options?.[0]?.["strings"] !== false;
    /** Parts of a text that was checked as a whole. */
    const parts = new WeakSet<Node>();

    function checkText(node: Node): void {
      if (node.left !== undefined) parts.add(node.left);
      if (node.right !== undefined) parts.add(node.right);
      const text = !checksStrings || parts.has(node) ? undefined : textOf(node);
      if (text === undefined || !isProse(text)) return;
      // Line breaks and columns of a text are meant: each begins a sentence.
      for (const problem of problemsIn(text.replaceAll(/\n| {2,}/g, "\n\n"))) {
        context.report({ node, message: `This text ${problem}` });
      }
    }

    return {
      Program(): void {
        for (const { node, prose } of joined(context.sourceCode.getAllComments())) {
          for (const problem of problemsIn(prose)) {
            context.report({ node, message: `This sentence ${problem}` });
          }
        }
      },
      BinaryExpression: checkText,
      TemplateLiteral: checkText,
      Literal: checkText,
    };
  },
};
