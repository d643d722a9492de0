/**
 * Parses the value of a content-type or content-disposition header: a word and its parameters (RFC 2045, 2183, 9110).
 */

export interface MediaType {
  /** In lower case, e.g. `multipart/form-data`. */
  readonly type: string;
  /** In their order. Names are in lower case, values without quotes. */
  readonly parameters: readonly Parameter[];
}

interface Parameter {
  readonly name: string;
  readonly value: string;
  /** True when the value had escapes, which not every reader removes. */
  readonly escaped: boolean;
}

const BACKSLASH = "\\";
const QUOTE = '"';

/**
 * Parses a header value in one pass. Undefined for a malformed one: a parameter without name or value, an unclosed
 * quote, or text behind a quote.
 */
export function readMediaType(value: string): MediaType | undefined {
  const end = endOf(value, 0);
  const parameters: Parameter[] = [];
  for (let at = end; at < value.length;) {
    const from = skipBlanks(value, at + 1);
    if (value[from] === ";" || from === value.length) {
      at = from;
      continue;
    }
    const read = readParameter(value, from);
    if (read === undefined) return undefined;
    parameters.push(read.parameter);
    at = read.end;
  }
  return { type: value.slice(0, end).trim().toLowerCase(), parameters };
}

/** All parameters with a name. A valid header has one. */
export function parametersNamed({ parameters }: MediaType, name: string): readonly Parameter[] {
  return parameters.filter((parameter) => parameter.name === name);
}

function readParameter(text: string, from: number): { parameter: Parameter; end: number } | undefined {
  const equals = text.indexOf("=", from);
  const end = endOf(text, from);
  if (equals < 0 || equals >= end) return undefined;
  const name = text.slice(from, equals).trim().toLowerCase();
  if (name === "") return undefined;
  const start = skipBlanks(text, equals + 1);
  if (text[start] === QUOTE) return readQuoted(text, start + 1, name);
  return { parameter: { name, value: text.slice(start, end).trim(), escaped: false }, end };
}

/** @param from offset behind the opening quote */
function readQuoted(
  text: string,
  from: number,
  name: string,
): { parameter: Parameter; end: number } | undefined {
  let value = "";
  let kept = from;
  let at = from;
  for (; at < text.length && text[at] !== QUOTE; at += 1) {
    if (text[at] !== BACKSLASH) continue;
    value += text.slice(kept, at);
    at += 1;
    kept = at;
  }
  if (at >= text.length) return undefined;
  const end = skipBlanks(text, at + 1);
  if (end < text.length && text[end] !== ";") return undefined;
  return { parameter: { name, value: value + text.slice(kept, at), escaped: kept !== from }, end };
}

/** Offset of the next semicolon, or the length of the text. */
function endOf(text: string, from: number): number {
  const at = text.indexOf(";", from);
  return at < 0 ? text.length : at;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\t") at += 1;
  return at;
}
