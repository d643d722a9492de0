/**
 * Exceptions from the rules of the glossary, each with a reason. A test fails when an exception is not needed
 * any more: take it out then.
 */

/** Words of names that are in no list. */
export const STRANGE: Readonly<Record<string, string>> = {
  hand: "HAND_BACK is the name of a script in Redis",
  keyset: "KEYSET is the name of a script in Redis",
  tidy: "TIDY is the name of a script in Redis",
};

/** Exported names that two files declare, with these files. */
export const TWICE: Readonly<Record<string, string>> = {};

/** Words of {@link RETIRED_NAMES} that names still have. */
export const OLD_NAMES: Readonly<Record<string, string>> = {};

/** Files that have retired words, since others read them: a member of JSON, and a label of metrics and logs. */
export const OLD_WORDS: readonly string[] = [
  "src/commands/claim-facts.ts",
  "src/worker/management-backend.ts",
  "test/commands/json.test.ts",
];

/** Words of the glossary that the sources do not use yet: parts that are being named. */
export const COMING: Readonly<Record<string, string>> = {};
