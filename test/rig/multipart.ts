/** Builds forms (multipart/form-data) for tests. */

export interface Field {
  readonly name: string;
  readonly value: Buffer | string;
  /** Makes it a file. */
  readonly filename?: string;
  /** The lines before the content, instead of those that the name and the file's name make. */
  readonly head?: string;
}

export interface Around {
  readonly preamble?: string;
  readonly epilogue?: string;
  /** Blanks behind each boundary. */
  readonly padding?: string;
}

/** The body of a form, with CRLF behind its last boundary. */
export function formBody(
  boundary: string,
  fields: readonly Field[],
  { preamble = "", epilogue = "\r\n", padding = "" }: Around = {},
): Buffer {
  const pieces = fields.flatMap((field, index) => [
    Buffer.from(`${index === 0 ? "" : "\r\n"}--${boundary}${padding}\r\n${headOf(field)}\r\n\r\n`),
    Buffer.from(field.value),
  ]);
  const end = `${fields.length === 0 ? "" : "\r\n"}--${boundary}--${padding}${epilogue}`;
  return Buffer.concat([Buffer.from(preamble), ...pieces, Buffer.from(end)]);
}

function headOf({ name, filename, head }: Field): string {
  if (head !== undefined) return head;
  const disposition = `Content-Disposition: form-data; name="${name}"`;
  if (filename === undefined) return disposition;
  return `${disposition}; filename="${filename}"\r\nContent-Type: application/octet-stream`;
}
