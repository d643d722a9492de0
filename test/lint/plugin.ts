/** The house's own lint rules, loaded by oxlint. */
import { linearRegex } from "./linear-regex.ts";
import type { Rule } from "./rule.ts";
import { wideSpread } from "./wide-spread.ts";

interface Plugin {
  readonly meta: { readonly name: string };
  readonly rules: Readonly<Record<string, Rule>>;
}

const plugin: Plugin = {
  meta: { name: "sgnet" },
  rules: { "linear-regex": linearRegex, "no-wide-spread": wideSpread },
};

// oxlint-disable-next-line import/no-default-export -- oxlint takes a plugin by its default export
export default plugin;
