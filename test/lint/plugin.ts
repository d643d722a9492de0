/** The house's own lint rules, loaded by oxlint. */
import { classFields } from "./class-fields.ts";
import { linearRegex } from "./linear-regex.ts";
import { plainEnglish } from "./plain-english.ts";
import type { Rule } from "./rule.ts";
import { wideInterface } from "./wide-interface.ts";
import { wideSpread } from "./wide-spread.ts";

interface Plugin {
  readonly meta: { readonly name: string };
  readonly rules: Readonly<Record<string, Rule>>;
}

const plugin: Plugin = {
  meta: { name: "sgnet" },
  rules: {
    "class-fields": classFields,
    "linear-regex": linearRegex,
    "no-wide-spread": wideSpread,
    "plain-english": plainEnglish,
    "wide-interface": wideInterface,
  },
};

// oxlint-disable-next-line import/no-default-export -- oxlint takes a plugin by its default export
export default plugin;
