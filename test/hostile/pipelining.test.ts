import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import * as fc from "fast-check";
import { journey } from "../rig/fleet/fleet.ts";
import { effort, LIMIT_MS } from "./effort.ts";
import { type Heard, readReplies } from "./raw.ts";
import { whileHarmed } from "./watch.ts";

/** The bytes of one connection to a gateway. */
interface Talk {
  readonly stream: boolean;
  readonly chunked: boolean;
  /** Bytes of the reply that are waited for before the rest is said; a stream has some early. */
  readonly patience: number;
  /** Said behind the request, or while its answer comes. */
  readonly behind: readonly string[];
  /** The client says that nothing follows, and goes on listening. */
  readonly isHalfClosed: boolean;
}

const TOKENS = 30;
const LISTED = "GET /api/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

function requestOf({ stream, chunked }: Pick<Talk, "stream" | "chunked">): string {
  const body = JSON.stringify({
    model: "tiny",
    stream,
    messages: [{ role: "user", content: "hi" }],
    options: { num_predict: TOKENS },
  });
  const [told, rest] = chunked
    ? ["Transfer-Encoding: chunked", `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`]
    : [`Content-Length: ${body.length}`, body];
  return ["POST /api/chat HTTP/1.1", "Host: 127.0.0.1", told, "", rest].join("\r\n");
}

const talk: fc.Arbitrary<Talk> = fc.record({
  stream: fc.boolean(),
  chunked: fc.boolean(),
  patience: fc.constantFrom(0, 0, 1, 600),
  behind: fc.array(
    fc.oneof(
      fc.constantFrom(LISTED, LISTED + LISTED, requestOf({ stream: true, chunked: false }), "\r\n", "\0"),
      fc.constantFrom(
        "GET /api",
        "0\r\n\r\n",
        "POST /api/chat HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        "\n",
        " ",
      ),
    ),
    { maxLength: 3 },
  ),
  isHalfClosed: fc.boolean(),
});

/** Wait for replies to bytes that are not a request, ms. A server need not answer them. */
const ENOUGH_MS = 300;

/** Says it, and hears until the server closes or has answered once. */
async function hear(port: number, { behind, isHalfClosed, patience, ...asked }: Talk): Promise<Heard> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  const over = Promise.withResolvers<void>();
  const early = Promise.withResolvers<void>();
  const chunks: Buffer[] = [];
  let closed = false;
  const look = (): void => {
    const heard = Buffer.concat(chunks);
    const isAnswered = readReplies(heard).replies.length > 0;
    if (isAnswered || heard.length >= patience) early.resolve();
    if (isAnswered) over.resolve();
  };
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    look();
  });
  for (const event of ["end", "close"]) {
    socket.on(event, () => {
      closed = true;
      early.resolve();
      over.resolve();
    });
  }
  await once(socket, "connect");
  socket.write(requestOf(asked));
  look();
  await early.promise;
  for (const piece of behind) socket.write(piece, "latin1");
  if (isHalfClosed) socket.end();
  await over.promise;
  if (!closed) await new Promise((resolve) => void setTimeout(resolve, ENOUGH_MS)); // a reply out of turn would come now: no event reports its absence
  socket.destroy();
  return { ...readReplies(Buffer.concat(chunks)), closed };
}

/** All tokens of a whole answer to the talk, in order. */
function isWhole(body: string, stream: boolean): boolean {
  const lines = body.split("\n").filter((line) => line !== "");
  const parts = lines.map((line) => JSON.parse(line) as { message: { content: string }; done: boolean });
  const text = parts.map(({ message }) => message.content).join("");
  const last = parts.at(-1);
  const words = Array.from({ length: TOKENS }, (_, index) => `t${index} `).join("");
  return last?.done === true && text === words && (stream || parts.length === 1);
}

/** Statuses that answer junk. The connection then closes. */
const JUNK: ReadonlySet<number> = new Set([400, 505]);

/** Nothing, one answer and what may follow it, or one that is visibly broken off. */
function assertNotMixed(one: Talk, { replies, nonsense, closed }: Heard): void {
  const about = JSON.stringify({ one, replies, nonsense, closed });
  const [first, ...others] = replies;
  const isCutByJunk = closed && one.behind.length > 0;
  if (first === undefined) {
    // A connection that is closed before the end of its answer tells that there is none.
    assert.ok(closed && (one.behind.length > 0 || one.isHalfClosed), about);
    assert.ok(nonsense === undefined || isCutByJunk, about);
    return;
  }
  assert.equal(nonsense, undefined, about);
  if (JUNK.has(first.status)) assert.ok(isCutByJunk && others.length === 0, about);
  else assert.ok(first.status === 200 && isWhole(first.body, one.stream), about);
  for (const { status, body } of others) {
    const isAnswer = status === 200 && (body.startsWith('{"version"') || isWhole(body, true));
    assert.ok(isAnswer || JUNK.has(status), about);
  }
}

journey(
  "what is said behind a request, or while its answer comes, mixes with no answer",
  { limitMs: LIMIT_MS, posts: [{ tokenMs: 1, slots: 32 }] },
  async (fleet, t) => {
    const port = Number(new URL(fleet.gateway.url).port);
    const look = fc.asyncProperty(fc.array(talk, { minLength: 8, maxLength: 8 }), async (talks) => {
      const heard = await Promise.all(talks.map(async (one) => ({ one, ...(await hear(port, one)) })));
      for (const { one, ...said } of heard) assertNotMixed(one, said);
    });
    const harm = async (): Promise<void> => fc.assert(look, effort(t, 6));
    const programs = [fleet.gateway, fleet.post().worker];
    t.diagnostic(await whileHarmed(fleet.gateway, { programs, mostMiB: 150, harm }));
  },
);
