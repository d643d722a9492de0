/**
 * Finds the parts of a form (multipart/form-data: RFC 7578, RFC 2046 section 5.1) by their places, without a copy.
 * docs/decisions/0041 says why no library does it, and what it costs.
 */
import { parametersNamed, readMediaType } from "./media-type.ts";
import type { MediaType } from "./media-type.ts";

export interface FormPart {
  readonly name: string;
  /** True when the name was written with escapes: not every reader takes it for this one. */
  readonly escaped: boolean;
  /** It has a file's name. */
  readonly isFile: boolean;
  /** Its content-transfer-encoding in lower case; empty without one. */
  readonly encoding: string;
  /** Where in the body its content begins, and the place behind it. */
  readonly from: number;
  readonly to: number;
}

export interface FormLimits {
  readonly parts: number;
  /** Bytes of the lines before a part's content. */
  readonly headBytes: number;
  /** Lines that begin as the boundary and go on otherwise. Each takes a search of its own. */
  readonly lookalikes: number;
}

/**
 * - `no-start`: no line is the boundary, or the boundary stands elsewhere before.
 * - `no-end`: the last boundary, which two dashes follow, is missing.
 * - `bad-head`: lines before a part's content that are no headers, one that comes twice, or no line behind them.
 * - `no-name`: a part that is no `form-data` with one name.
 */
export type FormFlaw =
  | "no-start"
  | "no-end"
  | "bad-head"
  | "no-name"
  | "long-head"
  | "many-parts"
  | "many-lookalikes";

export interface FlawedForm {
  readonly flaw: FormFlaw;
  /** Number of the part, from 1; 0 before any. */
  readonly part: number;
}

/** Longest boundary, characters (RFC 2046). The search takes time by its length, too. */
const LONGEST_BOUNDARY = 70;

/**
 * The boundary of a `multipart/form-data`; undefined when it has none, more than one, or one that no body can have.
 * Characters that RFC 2046 does not have are let pass where they can be told apart from all others.
 */
export function boundaryOf(mediaType: MediaType): string | undefined {
  const [boundary, ...more] = parametersNamed(mediaType, "boundary");
  if (boundary === undefined || more.length > 0 || parametersNamed(mediaType, "boundary*").length > 0) {
    return undefined;
  }
  const { value } = boundary;
  return value.length <= LONGEST_BOUNDARY && BOUNDARY.test(value) ? value : undefined;
}

/** Visible ASCII but quote and backslash, and spaces that are not the last character. */
const BOUNDARY = /^(?=[!-~])[ !#-[\]-~]*(?<! )$/;

/** The header value for a boundary. Quoted only where it must be: not every server takes the quotes away. */
export function formType(boundary: string): string {
  return `multipart/form-data; boundary=${TOKEN.test(boundary) ? boundary : `"${boundary}"`}`;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The parts in their order, or what is wrong. Takes time by the length of the body. */
export function readForm(
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
    const head = readHead(body, delimiter.end, limits.headBytes);
    if (typeof head === "string") return { flaw: head, part };
    // Where no line is between the head and the boundary, some readers take the boundary for content.
    if (delimiters.isAt(head.contentFrom - CRLF.length)) return { flaw: "bad-head", part };
    const next = delimiters.next(head.contentFrom);
    if (next === undefined) return { flaw: delimiters.isMuddled ? "many-lookalikes" : "no-end", part };
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

/** A line that parts two parts. */
interface Delimiter {
  /** Where the line break before it is, which belongs to it. */
  readonly start: number;
  /** The place behind its line. */
  readonly end: number;
  readonly isLast: boolean;
}

/**
 * Finds the lines that are the boundary. A line that only begins with it, and goes on otherwise, is content, as Go, Python
 * and browsers have it: binary data may look so.
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

  /** Too many lines only began as the boundary: the search was given up. */
  get isMuddled(): boolean {
    return this.#lookalikes > this.#most;
  }

  /**
   * The first one; what stands before it is no part. Where the boundary stands there within a line readers differ: then
   * there is none.
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
      if (this.isMuddled) return undefined;
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

interface Head extends Pick<FormPart, "name" | "escaped" | "isFile" | "encoding"> {
  readonly contentFrom: number;
}

const HEAD_END = Buffer.from(CRLF + CRLF);
/** No part of a head: a header has a name, and ends with its line. */
const STRAY = /[\r\n\0]/;

function readHead(body: Buffer, from: number, most: number): Head | FormFlaw {
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

/** The headers by their names in lower case; undefined when a line is none, or one comes twice. */
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

/** A line that begins with a blank goes on with the one before (RFC 5322). */
function unfolded(head: string): readonly string[] {
  const lines: string[] = [];
  for (const line of head.split(CRLF)) {
    const isMore = line.startsWith(" ") || line.startsWith("\t");
    if (isMore && lines.length > 0) lines.push(`${lines.pop() ?? ""} ${line.trim()}`);
    else lines.push(line);
  }
  return lines;
}

/** Undefined when it is not sure which name the part has. */
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
