import { Fault } from "../../core/fault.ts";
import { multipartBoundary } from "../../wire/multipart.ts";
import { readMediaType } from "../../wire/media-type.ts";

/** Replaces the name of the model in a form. */

/** The facts of a form that its task carries, see Task. */
interface FormModelField {
  /** The content type with the boundary. */
  readonly contentType?: string | undefined;
  readonly modelAt?: number | undefined;
  /** The model as the client wrote it. */
  readonly asked: string;
}

/** The bytes behind an empty field. No model's name begins with them. */
const FIELD_END = Buffer.from("\r\n--");

const LINE_BREAKS = /[\r\n]/;

/** True when the form names a model. */
export function formNamesModel(body: Buffer, { modelAt }: Pick<FormModelField, "modelAt">): boolean {
  return modelAt !== undefined && !isEmptyAt(body, modelAt);
}

function isEmptyAt(body: Buffer, at: number): boolean {
  return body.subarray(at, at + FIELD_END.length).equals(FIELD_END);
}

/**
 * Returns the form with this model instead of the requested one, or as its first field. The same Buffer when nothing
 * changes. Throws `internal` when the form differs from the task's description.
 * @param model the backend's own id
 */
export function withFormModel(body: Buffer, form: FormModelField, model: string): Buffer {
  const { asked, modelAt } = form;
  if (modelAt === undefined) return withField(body, form.contentType ?? "", checked(model));
  if (isEmptyAt(body, modelAt)) return replaced(body, modelAt, { length: 0, model });
  const name = Buffer.from(asked);
  if (!body.subarray(modelAt, modelAt + name.length).equals(name)) {
    throw new Fault("internal", "the model is not where the task says that its form has it");
  }
  return asked === model ? body : replaced(body, modelAt, { length: name.length, model });
}

/** @param length bytes to replace */
function replaced(
  body: Buffer,
  at: number,
  { length, model }: { readonly length: number; readonly model: string },
): Buffer {
  return Buffer.concat([body.subarray(0, at), Buffer.from(checked(model)), body.subarray(at + length)]);
}

/** A line break would end the field and could begin another one. */
function checked(model: string): string {
  if (LINE_BREAKS.test(model)) throw new Fault("unsupported", "the model's name cannot be written in a form");
  return model;
}

/** The gateway has checked that the first boundary is a line of its own. */
function withField(body: Buffer, contentType: string, model: string): Buffer {
  const mediaType = readMediaType(contentType);
  const boundary = mediaType === undefined ? undefined : multipartBoundary(mediaType);
  const at = boundary === undefined ? -1 : body.indexOf(`--${boundary}`, 0, "latin1");
  if (boundary === undefined || at < 0) {
    throw new Fault("internal", "the form does not have the boundary in its task");
  }
  const field = `--${boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n${model}\r\n`;
  return Buffer.concat([body.subarray(0, at), Buffer.from(field), body.subarray(at)]);
}
