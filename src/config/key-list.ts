/** Keys of clients or admins in one setting: a comma list. */

/** The keys of a list, in order, each once. */
export function keysOf(list: string): readonly string[] {
  return [
    ...new Set(
      list
        .split(",")
        .map((key) => key.trim())
        .filter((key) => key !== ""),
    ),
  ];
}

/** Visible ASCII characters: every client can send them in a header, and proxies pass them on. */
const SENDABLE = /^[\x21-\x7E]+$/;

const QUOTED = /^["'`]|["'`]$/;

/**
 * The problem of a non-empty list, as the rest of a sentence about the setting; undefined for a valid list. A list
 * without a key would allow everyone, against the intent. The text repeats no key.
 */
export function keyListProblem(list: string): string | undefined {
  const keys = keysOf(list);
  if (keys.length === 0) return "contains no key: add one, or leave the setting out";
  if (keys.some((key) => QUOTED.test(key)))
    return "has a key that begins or ends with a quotation mark: it would belong to the key";
  if (!keys.every((key) => SENDABLE.test(key)))
    return "has a key with a blank, a control character or a letter outside ASCII, which clients cannot send";
  return undefined;
}
