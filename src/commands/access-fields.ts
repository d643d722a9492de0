import type { Json, JsonObject } from "../core/json.ts";
import { KEY_MEMBERS, TENANT_MEMBERS } from "../core/access/record-members.ts";
import type { RecordMember } from "../core/access/record-members.ts";
import { readTime, TIME_FORM } from "../core/access/time-text.ts";
import { AMOUNTS } from "../core/access/key-limits.ts";
import type { RecordFlag } from "./access-flags.ts";

/** Values of a command line, by flag. */
export type FlagTexts = Readonly<Record<string, unknown>>;

const MEMBERS: Readonly<Record<string, RecordMember>> = { ...TENANT_MEMBERS, ...KEY_MEMBERS };

/** Members that are numbers. */
const NUMBERS: ReadonlySet<string> = new Set([...Object.keys(AMOUNTS), "weight", "queueShare"]);

/** The word that removes a member. */
const NONE = "none";

/**
 * Reads the members that flags set; null for one that `none` removes.
 * @param now ms since 1970
 * @throws Error a sentence that names the flag and the right form
 */
export function fieldsOf(
  given: FlagTexts,
  flags: Readonly<Record<string, RecordFlag>>,
  now: number,
): JsonObject {
  const set = Object.entries(flags).filter(([flag]) => typeof given[flag] === "string");
  return Object.fromEntries(
    set.map(([flag, { member }]) => [member, valueOf(member, String(given[flag]).trim(), { flag, now })]),
  );
}

function valueOf(
  member: string,
  text: string,
  { flag, now }: { readonly flag: string; readonly now: number },
): Json {
  if (text.toLowerCase() === NONE && member !== "name" && member !== "role") return null;
  if (member === "expires") return readTime(text, now) ?? misfit(flag, TIME_FORM, text);
  const value = parsedValue(member, text);
  const known = MEMBERS[member];
  if (known !== undefined && !known.accepts(value)) return misfit(flag, known.form, text);
  return value;
}

function parsedValue(member: string, text: string): Json {
  if (member === "models") return text.split(",").map((pattern) => pattern.trim());
  if (!NUMBERS.has(member)) return text;
  return /^\d[\d_]*(?:\.\d+)?$/.test(text) ? Number(text.replaceAll("_", "")) : text;
}

function misfit(flag: string, form: string, text: string): never {
  throw new Error(`--${flag} ${form}, not ${JSON.stringify(text)}.`);
}

/**
 * Refuses flags that an action does not use.
 * @param uses flags of the action; others of `all` are refused
 */
export function refuseUnusedFlags(
  line: string,
  given: FlagTexts,
  { uses, all }: { readonly uses: readonly string[]; readonly all: readonly string[] },
): void {
  const unused = all.filter((flag) => given[flag] !== undefined && !uses.includes(flag));
  if (unused.length === 0) return;
  const plural = unused.length === 1 ? "" : "s";
  throw new Error(
    `${line} does not take the option${plural} ${unused.map((flag) => `--${flag}`).join(", ")}.`,
  );
}
