/**
 * Locates the parts of a form (multipart/form-data: RFC 7578, RFC 2046 section 5.1) without copies.
 * docs/decisions/0041 explains why no library is used, and what it costs.
 */
import { parametersNamed, readMediaType } from "./media-type.ts";
import type { MediaType } from "./media-type.ts";

export interface FormPart {
  readonly name: string;
  /** True when the name had escapes, which some readers keep. */
  readonly escaped: boolean;
  /** True when the part has a file name. */
  readonly isFile: boolean;
  /** The content-transfer-encoding in lower case; "" for none. */
  readonly encoding: string;
  /** Range of the content in the body: its first byte, and one past its last. */
  readonly from: number;
  readonly to: number;
}

export interface FormLimits {
  readonly parts: number;
  /** Most bytes of a part's headers. */
  readonly headBytes: number;
  /** Most lines that begin like the boundary and continue otherwise. Each takes a search. */
  readonly lookalikes: number;
}

/**
 * - `no-start`: no line is the boundary, or the boundary occurs earlier within a line.
 * - `no-end`: the closing boundary is missing.
 * - `bad-head`: invalid or repeated headers, or no line behind them.
 * - `no-name`: the part is no `form-data` with a single name.
 */
type FormFlaw =
  | "no-start"
  | "no-end"
  | "bad-head"
  | "no-name"
  | "long-head"
  | "many-parts"
  | "many-lookalikes";

export interface FlawedForm {
  readonly flaw: FormFlaw;
  /** Number of the part, from 1. 0 before the first part. */
  readonly part: number;
}

/** Longest boundary, characters (RFC 2046). The search time also depends on it. */
const LONGEST_BOUNDARY = 70;

/**
 * The boundary of a `multipart/form-data`. Undefined for none, several, or an invalid one. Characters beyond RFC 2046
 * are accepted where they are unambiguous.
 */
export function multipartBoundary(mediaType: MediaType): string | undefined {
  const [boundary, ...more] = parametersNamed(mediaType, "boundary");
  if (boundary === undefined || more.length > 0 || parametersNamed(mediaType, "boundary*").length > 0) {
    return undefined;
  }
  const { value } = boundary;
  return value.length <= LONGEST_BOUNDARY && BOUNDARY.test(value) ? value : undefined;
}

/** Visible ASCII without quote and backslash, and spaces except at the end. */
const BOUNDARY = /^(?=[!-~])[ !#-[\]-~]*(?<! )$/;

/** The header value for a boundary. It is quoted only if needed, because not every server removes quotes. */
export function multipartType(boundary: string): string {
  return `multipart/form-data; boundary=${TOKEN.test(boundary) ? boundary : `"${boundary}"`}`;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Returns the parts in their order, or the flaw. It takes linear time. */
export function parseMultipart(
  body: Buffer,
  boundary: string,
  limits: FormLimits,
): { readonly parts: readonly FormPart[] } | FlawedForm {
  const delimiters = new Delimiters(body, boundary, limits.lookalikes);
  let delimiter = delimiters.first();
  if (delimiter === undefined) return { flaw: "no-start", part: 0 };
  const parts: FormPart[] = [];
  while (!delimiter.isLast) {
    const part = parts.length + 1;
    if (part > limits.parts) return { flaw: "many-parts", part };
    const head = readPartHead(body, delimiter.end, limits.headBytes);
    if (typeof head === "string") return { flaw: head, part };
    // Without a line between head and boundary, some readers take the boundary as content.
    if (delimiters.isAt(head.contentFrom - CRLF.length)) return { flaw: "bad-head", part };
    const next = delimiters.next(head.contentFrom);
    if (next === undefined) return { flaw: delimiters.isGivenUp ? "many-lookalikes" : "no-end", part };
    const { contentFrom: from, ...facts } = head;
    parts.push({ ...facts, from, to: next.start });
    delimiter = next;
  }
  return { parts };
}

const CRLF = "\r\n";
const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;
const SPACE = 0x20;
const TAB = 0x09;

/** A boundary line between two parts. */
interface Delimiter {
  /** Offset of the line break before it, which belongs to it. */
  readonly start: number;
  /** Offset behind its line. */
  readonly end: number;
  readonly isLast: boolean;
}

/**
 * Finds the boundary lines. A line that only begins like the boundary is content, as in Go, Python and browsers:
 * binary data may look like it.
 */
class Delimiters {
  readonly #body: Buffer;
  readonly #bytes: Buffer;
  readonly #most: number;
  #lookalikes = 0;

  constructor(body: Buffer, boundary: string, mostLookalikes: number) {
    this.#body = body;
    this.#bytes = Buffer.from(`${CRLF}--${boundary}`, "latin1");
    this.#most = mostLookalikes;
  }

  /** True when too many lines only began like the boundary, so that the search was given up. */
  get isGivenUp(): boolean {
    return this.#lookalikes > this.#most;
  }

  /**
   * The first boundary line; text before it is no part. Undefined when the boundary occurs earlier within a line,
   * because readers differ then.
   */
  first(): Delimiter | undefined {
    const at = this.#body.indexOf(this.#bytes.subarray(CRLF.length));
    const isLine = at === 0 || (at > 1 && this.#body[at - 2] === CR && this.#body[at - 1] === LF);
    return isLine ? this.#read(at - CRLF.length) : undefined;
  }

  isAt(start: number): boolean {
    return this.#body.subarray(start, start + this.#bytes.length).equals(this.#bytes);
  }

  next(from: number): Delimiter | undefined {
    let start = this.#body.indexOf(this.#bytes, from);
    while (start >= 0) {
      const found = this.#read(start);
      if (found !== undefined) return found;
      this.#lookalikes += 1;
      if (this.isGivenUp) return undefined;
      start = this.#body.indexOf(this.#bytes, start + this.#bytes.length);
    }
    return undefined;
  }

  #read(start: number): Delimiter | undefined {
    const body = this.#body;
    let at = start + this.#bytes.length;
    if (body[at] === DASH && body[at + 1] === DASH) return { start, end: at + 2, isLast: true };
    while (body[at] === SPACE || body[at] === TAB) at += 1;
    if (body[at] !== CR || body[at + 1] !== LF) return undefined;
    return { start, end: at + 2, isLast: false };
  }
}

interface PartHead extends Pick<FormPart, "name" | "escaped" | "isFile" | "encoding"> {
  readonly contentFrom: number;
}

const HEAD_END = Buffer.from(CRLF + CRLF);
/** Characters that no header may hold. */
const STRAY = /[\r\n\0]/;

function readPartHead(body: Buffer, from: number, most: number): PartHead | FormFlaw {
  if (body[from] === CR && body[from + 1] === LF) return "no-name";
  const room = body.subarray(from, from + most + HEAD_END.length);
  const length = room.indexOf(HEAD_END);
  if (length < 0) return room.length > most ? "long-head" : "no-end";
  const headers = readHeaders(body.toString("utf8", from, from + length));
  if (headers === undefined) return "bad-head";
  const facts = readDisposition(headers.get("content-disposition") ?? "");
  if (facts === undefined) return "no-name";
  const encoding = headers.get("content-transfer-encoding")?.toLowerCase() ?? "";
  return { ...facts, encoding, contentFrom: from + length + HEAD_END.length };
}

/** The headers by name in lower case. Undefined for an invalid or repeated header. */
function readHeaders(head: string): ReadonlyMap<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of unfolded(head)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    if (!TOKEN.test(name) || STRAY.test(line) || headers.has(name)) return undefined;
    headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
}

/** Joins folded lines: one that begins with a blank continues the previous line (RFC 5322). */
function unfolded(head: string): readonly string[] {
  const lines: string[] = [];
  for (const line of head.split(CRLF)) {
    const isMore = line.startsWith(" ") || line.startsWith("\t");
    if (isMore && lines.length > 0) lines.push(`${lines.pop() ?? ""} ${line.trim()}`);
    else lines.push(line);
  }
  return lines;
}

/** Returns undefined for an ambiguous name. */
function readDisposition(header: string): Pick<FormPart, "name" | "escaped" | "isFile"> | undefined {
  const disposition = readMediaType(header);
  if (disposition?.type !== "form-data") return undefined;
  const [name, ...more] = parametersNamed(disposition, "name");
  if (name === undefined || more.length > 0 || parametersNamed(disposition, "name*").length > 0) {
    return undefined;
  }
  const isFile = disposition.parameters.some(({ name: one }) => one === "filename" || one === "filename*");
  return { name: name.value, escaped: name.escaped, isFile };
}
