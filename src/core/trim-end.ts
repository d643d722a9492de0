/**
 * Removes trailing characters of `unwanted`. The expression `/\/+$/` would take quadratic time for a text with many
 * of them in its middle.
 */
export function trimEnd(text: string, unwanted: string): string {
  let end = text.length;
  while (end > 0 && unwanted.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
