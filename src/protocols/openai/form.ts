import { Fault } from "../../core/fault.ts";
import type { Endpoint } from "../../core/task.ts";
import { boundaryOf, formType, readForm } from "../../wire/form.ts";
import type { FlawedForm, FormLimits, FormPart } from "../../wire/form.ts";
import { readMediaType } from "../../wire/media-type.ts";
import type { Opening } from "../protocol.ts";
import { surfaceOf } from "./surface.ts";

/** A form that was read. Its model is empty when it names none. */
export interface OpenedForm extends Opening {
  /** As it is told to the backend: with its boundary, and nothing else. */
  readonly contentType: string;
  /** Where in the body the model's name begins, be it empty; undefined when it has no such field. */
  readonly modelAt: number | undefined;
}

/**
 * Parts as servers in Python and Go have it by default; honest forms have some tens, heads of some hundred bytes, and no
 * line that begins as the boundary (RFC 2046).
 */
const LIMITS: FormLimits = { parts: 1000, headBytes: 16 * 1024, lookalikes: 10_000 };

const FORM = "multipart/form-data";

/** True for an endpoint whose body is a form. */
export function takesForm(endpoint: Endpoint): boolean {
  return surfaceOf(endpoint)?.form === true;
}

/** True for the content type of a form, whatever its parameters. */
export function isFormType(contentType: string): boolean {
  return contentType.slice(0, FORM.length).toLowerCase() === FORM;
}

/** The fault of a body that is no form, where one is expected, or the other way round. @param got the content type */
export function wrongBodyType(expected: "form" | "json", got: string): Fault {
  const name = expected === "form" ? `${FORM} with a boundary` : "application/json";
  const shown = got === "" ? "no content type" : `'${got.slice(0, MOST_SHOWN)}'`;
  return new Fault("unsupported", `this endpoint takes ${name}, and the request has ${shown}`, { http: 415 });
}

/** Characters of what a client sent that an error repeats. */
const MOST_SHOWN = 100;

/**
 * Finds what the gateway must know of a form. All else is for the backend, as it came. Throws `unsupported` (415) for a
 * body of another type, `body_missing`, `invalid_request` for a form that is not well formed or that servers may read in
 * two ways, and `request_too_large` for too many parts.
 */
export function openForm(body: Buffer, contentType: string): OpenedForm {
  if (!isFormType(contentType)) throw wrongBodyType("form", contentType);
  if (body.length === 0) throw new Fault("body_missing", "missing request body");
  const boundary = readBoundary(contentType);
  const read = readForm(body, boundary, LIMITS);
  if ("flaw" in read) throw flawFault(read);
  const fields = new Fields(body, read.parts);
  const place = fields.place("model");
  const model = place === undefined ? "" : fields.text(place);
  return {
    model,
    stream: fields.flag("stream"),
    contentType: formType(boundary),
    modelAt: place?.from,
  };
}

function readBoundary(contentType: string): string {
  const mediaType = readMediaType(contentType);
  const boundary = mediaType?.type === FORM ? boundaryOf(mediaType) : undefined;
  if (boundary !== undefined) return boundary;
  throw new Fault(
    "invalid_request",
    "the content type of a form must have one boundary, of 1 to 70 visible characters",
  );
}

function flawFault({ flaw, part }: FlawedForm): Fault {
  switch (flaw) {
    case "no-start":
      return malformed("its body does not have the boundary that its content type tells");
    case "no-end":
      return malformed(`it does not end: no boundary with two dashes follows part ${part}`);
    case "bad-head":
      return malformed(`the headers of part ${part} are not well formed`);
    case "long-head":
      return malformed(`the headers of part ${part} are longer than ${LIMITS.headBytes} bytes`);
    case "no-name":
      return malformed(`part ${part} has no content disposition 'form-data' with one name`);
    case "many-lookalikes":
      return malformed(
        `more than ${LIMITS.lookalikes} of its lines begin as its boundary and go on otherwise`,
      );
    case "many-parts":
      return new Fault("request_too_large", `the form has more than ${LIMITS.parts} parts`);
  }
}

function malformed(why: string): Fault {
  return new Fault("invalid_request", `the form is malformed: ${why}`);
}

/** Encodings that leave the bytes as they are. Others are decoded by some servers and not by others. */
const PLAIN_ENCODINGS: ReadonlySet<string> = new Set(["", "7bit", "8bit", "binary"]);

const YES: ReadonlySet<string> = new Set(["true", "1", "yes", "on", "t", "y"]);
const NO: ReadonlySet<string> = new Set(["", "false", "0", "no", "off", "f", "n"]);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The fields of a form that the gateway reads: each once, plainly written, and no file. */
class Fields {
  readonly #body: Buffer;
  readonly #parts: readonly FormPart[];

  constructor(body: Buffer, parts: readonly FormPart[]) {
    this.#body = body;
    this.#parts = parts;
  }

  /** Undefined when the form does not have it. Throws `invalid_request` when servers may differ in what it is. */
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

  /** Throws `invalid_request` for what is no text. */
  text({ name, from, to }: FormPart): string {
    try {
      return utf8.decode(this.#body.subarray(from, to));
    } catch (error) {
      throw new Fault("invalid_request", `the form's '${name}' must be text in UTF-8`, { cause: error });
    }
  }

  /** False when absent. All words are taken that servers in Python take. */
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
