import { createHash } from "node:crypto";
import type { Answer } from "./surface-server.ts";
import { sendJson } from "./surface-server.ts";

/** A form as a backend reads it: names and texts. A file stands as its name, size and SHA-256. */
export interface FoundForm {
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** Reads the form as a browser does, by Node's own reader, and answers with what it found. */
export function formAnswer(): Answer {
  return (seen) => {
    void readForm(seen.headers["content-type"] ?? "", seen.body).then(
      (found) => sendJson(200, found)(seen),
      (error: unknown) => sendJson(400, { error: { message: String(error) } })(seen),
    );
  };
}

export async function readForm(contentType: string, body: Buffer): Promise<FoundForm> {
  const form = await new Response(new Uint8Array(body), {
    headers: { "content-type": contentType },
  }).formData();
  const fields: [string, string][] = [];
  for (const [name, value] of form) {
    fields.push([name, typeof value === "string" ? value : await told(value)]);
  }
  return { fields };
}

async function told(file: File): Promise<string> {
  const bytes = Buffer.from(await file.arrayBuffer());
  return `${file.name}, ${bytes.length} bytes, ${createHash("sha256").update(bytes).digest("hex")}`;
}
