import { readdirSync, readFileSync } from "node:fs";

/** A recorded exchange with a real server, read from `test/fixtures/<dialect>/<name>.txt`. */
export interface Transcript {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  /** The headers it was asked with; lower-case names. */
  readonly sent: ReadonlyMap<string, string>;
  /** As sent; cut short in the recording when it was very long. */
  readonly request: string;
  readonly status: number;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  /** Without HTTP's own framing. */
  readonly body: Buffer;
  /** The body as the server cut it: one piece per HTTP chunk. */
  readonly chunks: readonly Buffer[];
  /** True when the client left before the end. */
  readonly left: boolean;
}

const FIXTURES = new URL("../fixtures/", import.meta.url);

/** The names of a dialect's transcripts that start with one of the prefixes; all without prefixes. */
export function transcriptNames(dialect: string, ...prefixes: string[]): string[] {
  const names = readdirSync(new URL(`${dialect}/`, FIXTURES))
    .filter((file) => file.endsWith(".txt"))
    .map((file) => file.slice(0, -".txt".length));
  return names.filter((name) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)));
}

/** Reads one transcript: its name may be cut to what tells it apart, e.g. `030`. */
export function loadTranscript(dialect: string, start: string): Transcript {
  const [name, more] = transcriptNames(dialect, start);
  if (name === undefined || more !== undefined)
    throw new Error(`no or no single transcript ${dialect}/${start}`);
  const bytes = readFileSync(new URL(`${dialect}/${name}.txt`, FIXTURES));
  // One character per byte: offsets in the text are offsets in the bytes.
  const text = bytes.toString("latin1");
  const marker = text.indexOf("### RESPONSE");
  const start0 = text.indexOf("\n", marker) + 1;
  const response = bytes.subarray(start0, text.lastIndexOf("\n### END"));
  return {
    name,
    ...parseCommand(text),
    request: requestOf(bytes, text, marker),
    ...parseResponse(response),
    left: text.includes("\n### END curl_exit=28 "),
  };
}

function parseCommand(text: string): Pick<Transcript, "method" | "path" | "sent"> {
  const command = /^### CMD .*$/m.exec(text)?.[0] ?? "";
  const method = / -X ([A-Z]+)/.exec(command)?.[1] ?? methodOf(command);
  const sent = [...command.matchAll(/ -H '([^:']+): ([^']*)'/g)].map(([, name = "", value = ""]) => {
    return [name.toLowerCase(), value] as const;
  });
  return { method, path: /https?:\/\/[^/\s]+(\/[^\s']*)'?$/.exec(command)?.[1] ?? "/", sent: new Map(sent) };
}

/** The method that curl uses without `-X`. */
function methodOf(command: string): string {
  if (command.includes(" -I ")) return "HEAD";
  return command.includes("--data") ? "POST" : "GET";
}

function requestOf(bytes: Buffer, text: string, end: number): string {
  const marker = text.indexOf("### REQUEST BODY");
  if (marker < 0) return "";
  const sent = bytes.subarray(text.indexOf("\n", marker) + 1, end).toString();
  return sent.trimEnd() === "(none)" ? "" : sent.trimEnd();
}

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

function parseResponse(all: Buffer): Pick<Transcript, "status" | "headers" | "body" | "chunks"> {
  const bytes = all.subarray(all.toString("latin1", 0, CONTINUE.length) === CONTINUE ? CONTINUE.length : 0);
  const split = bytes.indexOf("\r\n\r\n");
  const [statusLine = "", ...lines] = bytes.subarray(0, split).toString("latin1").split("\r\n");
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const rest = bytes.subarray(split + 4);
  const length = Number(headers.get("content-length") ?? rest.length);
  const chunks =
    headers.get("transfer-encoding") === "chunked" ? dechunk(rest) : [Buffer.from(rest.subarray(0, length))];
  return { status: Number(statusLine.split(" ")[1]), headers, body: Buffer.concat(chunks), chunks };
}

/** The pieces of a chunked body; one that was cut off ends with what there is. */
function dechunk(bytes: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const lineEnd = bytes.indexOf("\r\n", offset);
    const size = lineEnd < 0 ? 0 : Number.parseInt(bytes.toString("latin1", offset, lineEnd), 16);
    if (!(size > 0)) break;
    // A copy: a view would share its memory with the rest of the recording.
    chunks.push(Buffer.from(bytes.subarray(lineEnd + 2, lineEnd + 2 + size)));
    offset = lineEnd + 2 + size + 2;
  }
  return chunks;
}
