import { connect, type Socket } from "node:net";

/** One whole reply as it came over a raw connection. */
export interface RawReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The bytes that came back over a raw connection. */
export interface Heard {
  /** The whole replies, in order. */
  readonly replies: readonly RawReply[];
  /** The fault in the bytes that came; undefined when they are replies (the last perhaps not whole). */
  readonly nonsense: string | undefined;
  /** True when the server closed the connection. */
  readonly closed: boolean;
}

/** A server that owes an answer has so long, however loaded the machine. */
const SILENCE_MS = 30_000;

export interface Saying {
  readonly port: number;
  /** Written one after the other, each in a packet of its own where the system allows it. */
  readonly pieces: readonly Buffer[];
  /** Number of replies that end the wait. */
  readonly replies: number;
  /** The wait also ends when nothing has come for so long. */
  readonly silenceMs?: number;
}

/** Says something to a server, and hears until it closes, has replied so often, or is silent. */
export async function say({ port, pieces, replies, silenceMs = SILENCE_MS }: Saying): Promise<Heard> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const chunks: Buffer[] = [];
  let closed = false;
  const over = new Promise<void>((resolve) => {
    socket.setTimeout(silenceMs, resolve);
    socket.on("error", () => {});
    socket.on("close", () => {
      closed = true;
      resolve();
    });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (readReplies(Buffer.concat(chunks)).replies.length >= replies) resolve();
    });
  });
  await Promise.race([writeAll(socket, pieces), over]);
  await over;
  socket.destroy();
  return { ...readReplies(Buffer.concat(chunks)), closed };
}

async function writeAll(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
  }
}

/** Reads replies as strictly as a client could: lengths, chunks, and nothing between two replies. */
export function readReplies(bytes: Buffer): Pick<Heard, "replies" | "nonsense"> {
  const replies: RawReply[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf("\r\n\r\n", at);
    const head = bytes.toString("latin1", at, end < 0 ? bytes.length : end);
    if (!isHead(head, end >= 0)) return { replies, nonsense: head.slice(0, 200) };
    if (end < 0) break;
    const [statusLine = "", ...lines] = head.split("\r\n");
    const headers = new Map(lines.map((line) => splitHeader(line)));
    const status = Number(statusLine.slice(9, 12));
    if (status === 100) {
      at = end + 4;
      continue;
    }
    const body = readBody(bytes, end + 4, { status, headers });
    if (body === undefined) break;
    if (typeof body === "string") return { replies, nonsense: body };
    replies.push({ status, headers, body: body.text });
    at = body.end;
  }
  return { replies, nonsense: undefined };
}

const STATUS_LINE = /^HTTP\/1\.1 (?:100|[2-5]\d\d) [ -~]*$/;
const HEADER = /^[a-z0-9-]+: [\x20-\x7e\x80-\xff]*$/i;

function isHead(head: string, isWhole: boolean): boolean {
  const lines = head.split("\r\n");
  const whole = isWhole ? lines : lines.slice(0, -1);
  return whole.every((line, index) => (index === 0 ? STATUS_LINE : HEADER).test(line));
}

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
}

interface Body {
  readonly text: string;
  readonly end: number;
}

/** Undefined while it is not whole; a text tells what is wrong. */
function readBody(
  bytes: Buffer,
  start: number,
  { status, headers }: Pick<RawReply, "status" | "headers">,
): Body | string | undefined {
  if (status === 204 || status === 304) return { text: "", end: start };
  if (headers.get("transfer-encoding") === "chunked") return readChunks(bytes, start);
  const length = headers.get("content-length");
  // A reply without a length ends with its connection, so it is complete.
  if (length === undefined) return { text: bytes.toString("utf8", start), end: bytes.length };
  if (!/^\d+$/.test(length)) return `content-length: ${length}`;
  const end = start + Number(length);
  return end > bytes.length ? undefined : { text: bytes.toString("utf8", start, end), end };
}

function readChunks(bytes: Buffer, start: number): Body | string | undefined {
  const pieces: Buffer[] = [];
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const line = bytes.toString("latin1", at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(line)) return `chunk of ${line.slice(0, 40)}`;
    const size = Number.parseInt(line, 16);
    const from = lineEnd + 2;
    if (from + size + 2 > bytes.length) return undefined;
    if (bytes.toString("latin1", from + size, from + size + 2) !== "\r\n") return "a chunk that does not end";
    if (size === 0) return { text: Buffer.concat(pieces).toString("utf8"), end: from + 2 };
    pieces.push(bytes.subarray(from, from + size));
    at = from + size + 2;
  }
}
