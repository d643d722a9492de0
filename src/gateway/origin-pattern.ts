/** Tells whether an origin, in lower case, is one of those that are meant. */
export type OriginTest = (origin: string) => boolean;

/**
 * The test for one listed origin: `*` in it stands for any text without a slash. Every origin has its only slashes
 * before the first `*`, so the pieces between two of them are looked for from left to right, once: an expression of as
 * many `[^/]*` would take a power of the length of the header.
 */
export function originTest(listed: string): OriginTest {
  const [head = "", ...pieces] = listed.split("*");
  const tail = pieces.pop();
  if (tail === undefined) return (origin) => origin === listed;
  return (origin) => {
    const rest = origin.slice(head.length);
    if (!origin.startsWith(head) || rest.includes("/") || !rest.endsWith(tail)) return false;
    let at = 0;
    for (const piece of pieces) {
      const found = rest.indexOf(piece, at);
      if (found === -1) return false;
      at = found + piece.length;
    }
    return at + tail.length <= rest.length;
  };
}
