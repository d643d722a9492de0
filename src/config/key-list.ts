/** Keys of clients or admins, as one setting gives them: a comma list. */

/** The keys of a list, in its order and each once. */
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

/** Visible characters of ASCII: what every client can send in a header, and any proxy passes on. */
const SENDABLE = /^[\x21-\x7E]+$/;

const QUOTED = /^["'`]|["'`]$/;

/**
 * Why a list that is not empty cannot be used, as the rest of a sentence that begins with the setting's name; undefined
 * when it can. A list that names no key would serve everyone, against what was meant. No key is repeated.
 */
export function keyListProblem(list: string): string | undefined {
  const keys = keysOf(list);
  if (keys.length === 0) return "has no key in it: name one, or leave the setting out";
  if (keys.some((key) => QUOTED.test(key)))
    return "has a key that begins or ends with a quotation mark: it would belong to the key";
  if (!keys.every((key) => SENDABLE.test(key)))
    return "has a key with a blank, a control character or a letter outside ASCII, which clients cannot send";
  return undefined;
}
