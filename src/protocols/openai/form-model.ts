import { Fault } from "../../core/fault.ts";
import { boundaryOf } from "../../wire/form.ts";
import { readMediaType } from "../../wire/media-type.ts";

/** The name of the model in a form, as its backend is to be told it. */

/** What a task tells of its form, see Task. */
export interface FormModel {
  /** With the boundary. */
  readonly contentType?: string | undefined;
  readonly modelAt?: number | undefined;
  /** The model as the client wrote it. */
  readonly asked: string;
}

/** How the end of an empty field begins; no model's name does. */
const FIELD_END = Buffer.from("\r\n--");

const LINE_BREAKS = /[\r\n]/;

/** True when the client named a model: neither left the field out nor empty. */
export function namesModel(body: Buffer, { modelAt }: Pick<FormModel, "modelAt">): boolean {
  return modelAt !== undefined && !isEmptyAt(body, modelAt);
}

function isEmptyAt(body: Buffer, at: number): boolean {
  return body.subarray(at, at + FIELD_END.length).equals(FIELD_END);
}

/**
 * The form with this model in the place of the one that was asked for, and as its first field where it has none: the same
 * Buffer when nothing changes. Throws `internal` when the name, or the form, is not as the task says.
 * @param model as the backend calls it
 */
export function withModel(body: Buffer, form: FormModel, model: string): Buffer {
  const { asked, modelAt } = form;
  if (modelAt === undefined) return withField(body, form.contentType ?? "", checked(model));
  if (isEmptyAt(body, modelAt)) return replaced(body, modelAt, { length: 0, model });
  const name = Buffer.from(asked);
  if (!body.subarray(modelAt, modelAt + name.length).equals(name)) {
    throw new Fault("internal", "the model is not where the task says that its form has it");
  }
  return asked === model ? body : replaced(body, modelAt, { length: name.length, model });
}

/** @param length of what is replaced, bytes */
function replaced(
  body: Buffer,
  at: number,
  { length, model }: { readonly length: number; readonly model: string },
): Buffer {
  return Buffer.concat([body.subarray(0, at), Buffer.from(checked(model)), body.subarray(at + length)]);
}

/** In a form it could end the field, and begin others. */
function checked(model: string): string {
  if (LINE_BREAKS.test(model)) throw new Fault("unsupported", "the model's name cannot be written in a form");
  return model;
}

/** The first boundary of a form is a line of its own, or its gateway would have refused it. */
function withField(body: Buffer, contentType: string, model: string): Buffer {
  const mediaType = readMediaType(contentType);
  const boundary = mediaType === undefined ? undefined : boundaryOf(mediaType);
  const at = boundary === undefined ? -1 : body.indexOf(`--${boundary}`, 0, "latin1");
  if (boundary === undefined || at < 0) {
    throw new Fault("internal", "the form does not have the boundary that the task says");
  }
  const field = `--${boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n${model}\r\n`;
  return Buffer.concat([body.subarray(0, at), Buffer.from(field), body.subarray(at)]);
}
