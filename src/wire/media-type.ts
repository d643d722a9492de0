/** Reads the value of a content-type or content-disposition header: a word and its parameters (RFC 2045, 2183, 9110). */

export interface MediaType {
  /** In lower case, e.g. `multipart/form-data`. */
  readonly type: string;
  /** In the order they came; names in lower case, values without their quotes. */
  readonly parameters: readonly Parameter[];
}

export interface Parameter {
  readonly name: string;
  readonly value: string;
  /** True when characters of the value were escaped: not every reader takes the escapes away. */
  readonly escaped: boolean;
}

const BACKSLASH = "\\";
const QUOTE = '"';

/**
 * The word and the parameters of a header value, each character looked at once. Undefined when it is not well formed: a
 * parameter without a name or a value, a quote that does not close, or text behind one.
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

/** The values of all parameters of a name; a sound header has one. */
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

/** @param from behind the opening quote */
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

/** The place of the next semicolon; the end of the text without one. */
function endOf(text: string, from: number): number {
  const at = text.indexOf(";", from);
  return at < 0 ? text.length : at;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\t") at += 1;
  return at;
}
