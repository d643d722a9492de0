import type { Node, Rule } from "./rule.ts";

/** Functions that are called with a list as their arguments where a loop would do. */
const SPREAD_INTO = new Set([
  "assign",
  "push",
  "unshift",
  "splice",
  "concat",
  "max",
  "min",
  "fromCharCode",
  "fromCodePoint",
]);

/**
 * No list becomes the arguments of one call: each argument takes stack, and a list of 130,000 from outside was a stack
 * overflow, told as an internal fault.
 */
export const wideSpread: Rule = {
  create: (context) => ({
    CallExpression(node: Node): void {
      const name = node.callee?.property?.name ?? "";
      if (!SPREAD_INTO.has(name)) return;
      if (node.arguments?.some(({ type }) => type === "SpreadElement") !== true) return;
      context.report({ node, message: `${name}(...list) takes stack for each item: use a loop.` });
    },
  }),
};
