import { Fault } from "../../core/fault.ts";
import type { Endpoint } from "../../core/task.ts";
import { multipartBoundary, multipartType, parseMultipart } from "../../wire/multipart.ts";
import type { FlawedForm, FormLimits, FormPart } from "../../wire/multipart.ts";
import { readMediaType } from "../../wire/media-type.ts";
import type { RequestHead } from "../codec.ts";
import { surfaceOf } from "./surface.ts";

/** The head of a form. Its model is "" when it names none. */
interface FormHead extends RequestHead {
  /** The content type for the backend: with the boundary, without other parameters. */
  readonly contentType: string;
  /** Offset of the model's name in the body, which may be empty. Undefined without such a field. */
  readonly modelAt: number | undefined;
}

/**
 * The default limits of servers in Python and Go. Real forms have some tens of parts and heads of some hundred bytes. None of their lines begins like the boundary (RFC 2046).
 */
const LIMITS: FormLimits = { parts: 1000, headBytes: 16 * 1024, lookalikes: 10_000 };

const FORM = "multipart/form-data";

/** True for an endpoint whose body is a form. */
export function takesForm(endpoint: Endpoint): boolean {
  return surfaceOf(endpoint)?.form === true;
}

/** True for the content type of a form, with any parameters. */
export function isFormType(contentType: string): boolean {
  return contentType.slice(0, FORM.length).toLowerCase() === FORM;
}

/** The fault of a body with the wrong content type. @param got the content type */
export function unsupportedBodyType(expected: "form" | "json", got: string): Fault {
  const name = expected === "form" ? `${FORM} with a boundary` : "application/json";
  const shown = got === "" ? "no content type" : `'${got.slice(0, MOST_SHOWN)}'`;
  return new Fault("unsupported", `this endpoint takes ${name}, and the request has ${shown}`, { http: 415 });
}

/** Characters of a client's text that an error repeats. */
const MOST_SHOWN = 100;

/**
 * Reads the fields of a form that the gateway needs. The backend gets the form unchanged.
 * @throws `unsupported` (415) for another content type, and `body_missing`
 * @throws `invalid_request` for a malformed form, or one that servers read differently
 * @throws `request_too_large` for too many parts
 */
export function readFormHead(body: Buffer, contentType: string): FormHead {
  if (!isFormType(contentType)) throw unsupportedBodyType("form", contentType);
  if (body.length === 0) throw new Fault("body_missing", "missing request body");
  const boundary = readBoundary(contentType);
  const read = parseMultipart(body, boundary, LIMITS);
  if ("flaw" in read) throw flawFault(read);
  const fields = new Fields(body, read.parts);
  const place = fields.place("model");
  const model = place === undefined ? "" : fields.text(place);
  return {
    model,
    stream: fields.flag("stream"),
    contentType: multipartType(boundary),
    modelAt: place?.from,
  };
}

function readBoundary(contentType: string): string {
  const mediaType = readMediaType(contentType);
  const boundary = mediaType?.type === FORM ? multipartBoundary(mediaType) : undefined;
  if (boundary !== undefined) return boundary;
  throw new Fault(
    "invalid_request",
    "the content type of a form must have one boundary, of 1 to 70 visible characters",
  );
}

function flawFault({ flaw, part }: FlawedForm): Fault {
  switch (flaw) {
    case "no-start":
      return malformed("its body does not have the boundary of its content type");
    case "no-end":
      return malformed(`it has no end: no closing boundary follows part ${part}`);
    case "bad-head":
      return malformed(`the headers of part ${part} are malformed`);
    case "long-head":
      return malformed(`the headers of part ${part} are longer than ${LIMITS.headBytes} bytes`);
    case "no-name":
      return malformed(`part ${part} has no content disposition 'form-data' with one name`);
    case "many-lookalikes":
      return malformed(
        `more than ${LIMITS.lookalikes} of its lines begin like its boundary and continue otherwise`,
      );
    case "many-parts":
      return new Fault("request_too_large", `the form has more than ${LIMITS.parts} parts`);
  }
}

function malformed(why: string): Fault {
  return new Fault("invalid_request", `the form is malformed: ${why}`);
}

/** Encodings that keep the bytes. Only some servers decode others. */
const PLAIN_ENCODINGS: ReadonlySet<string> = new Set(["", "7bit", "8bit", "binary"]);

const YES: ReadonlySet<string> = new Set(["true", "1", "yes", "on", "t", "y"]);
const NO: ReadonlySet<string> = new Set(["", "false", "0", "no", "off", "f", "n"]);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The fields of a form that the gateway reads: unique, without escapes, and no files. */
class Fields {
  readonly #body: Buffer;
  readonly #parts: readonly FormPart[];

  constructor(body: Buffer, parts: readonly FormPart[]) {
    this.#body = body;
    this.#parts = parts;
  }

  /** Returns undefined for an absent field. Throws `invalid_request` for a field that servers read differently. */
  place(name: string): FormPart | undefined {
    const [part, ...more] = this.#parts.filter((one) => one.name === name);
    if (part === undefined) return undefined;
    if (more.length > 0)
      throw new Fault("invalid_request", `the form has '${name}' ${more.length + 1} times`);
    if (part.escaped) throw new Fault("invalid_request", `the form must write the name '${name}' plainly`);
    if (part.isFile) throw new Fault("invalid_request", `the form's '${name}' must be a field, not a file`);
    if (!PLAIN_ENCODINGS.has(part.encoding)) {
      throw new Fault("invalid_request", `the form's '${name}' must have no content-transfer-encoding`);
    }
    return part;
  }

  /** Throws `invalid_request` for bytes that are no text. */
  text({ name, from, to }: FormPart): string {
    try {
      return utf8.decode(this.#body.subarray(from, to));
    } catch (error) {
      throw new Fault("invalid_request", `the form's '${name}' must be text in UTF-8`, { cause: error });
    }
  }

  /** False when absent. Accepts all words that servers in Python accept. */
  flag(name: string): boolean {
    const part = this.place(name);
    if (part === undefined) return false;
    const word = part.to - part.from > LONGEST_FLAG ? "?" : this.text(part).toLowerCase();
    if (!YES.has(word) && !NO.has(word)) {
      throw new Fault("invalid_request", `the form's '${name}' must be true or false`);
    }
    return YES.has(word);
  }
}

const LONGEST_FLAG = 8;
