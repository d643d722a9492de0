/**
 * The text without the characters of `unwanted` at its end. An expression such as `/\/+$/` says the same and takes the
 * square of the length of a text that has many of them in its middle.
 */
export function withoutTrailing(text: string, unwanted: string): string {
  let end = text.length;
  while (end > 0 && unwanted.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
