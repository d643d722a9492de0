import { analyse } from "scslre";
import type { Node, Rule } from "./rule.ts";

/** Why an expression may take more than linear time, a sentence each; empty when it does not. */
export function superLinear(pattern: string, flags: string): string[] {
  const found = analyse({ source: pattern, flags }, { reportTypes: { Move: true, Self: true, Trade: true } });
  return found.reports.map(({ character, exponential }) => {
    const growth = exponential ? "exponentially" : "by a power";
    return `The time of /${pattern}/${flags} grows ${growth} with many of ${character.literal.source}: read the text with a loop.`;
  });
}

/**
 * Every regular expression of the program takes time linear in the length of its text. Text from outside (heads,
 * bodies, replies, records, files, arguments) meets most of them. One header of 60,000 blanks once held a gateway for
 * seconds.
 */
export const linearRegex: Rule = {
  create: (context) => ({
    Literal(node: Node): void {
      if (node.regex === undefined) return;
      for (const message of superLinear(node.regex.pattern, node.regex.flags)) {
        context.report({ node, message });
      }
    },
    NewExpression(node: Node): void {
      if (node.callee?.name !== "RegExp") return;
      const message = "An expression that is put together cannot be checked: write it down, or use a loop.";
      context.report({ node, message });
    },
    CallExpression(node: Node): void {
      if (node.callee?.name !== "RegExp") return;
      const message = "An expression that is put together cannot be checked: write it down, or use a loop.";
      context.report({ node, message });
    },
  }),
};
