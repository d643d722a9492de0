import { Fault, toFault } from "../core/fault.ts";
import type { JsonObject } from "../core/json.ts";
import type { Connection } from "../redis/connection.ts";
import { publishDrain } from "../redis/control.ts";
import { dropLetter, lettersOf, modelsWithLetters, readLetter } from "../redis/dead-letters.ts";
import type { LetterName } from "../redis/dead-letters.ts";
import type { Keys } from "../redis/keys.ts";
import { factsOf } from "../redis/letter-facts.ts";
import type { LetterFacts } from "../redis/letter-facts.ts";
import { readShortBody } from "./body.ts";
import type { Catalogue } from "./catalogue.ts";
import { sendPathFault } from "./fault-reply.ts";
import type { Handler, Headers, HttpReply, HttpRequest, Route } from "./http.ts";
import type { Keyring } from "./keyring.ts";
import { plainIdHeaders } from "./request-id.ts";
import type { RerunHost } from "./rerun.ts";
import type { KnownReaders } from "./destination.ts";
import { noLetter, retryLetter } from "./retry.ts";

export interface AdminHost {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly keyring: Pick<Keyring, "isAdmin">;
  readonly catalogue: Pick<Catalogue, "workers" | "offered"> & KnownReaders;
  readonly board: RerunHost & { unready(): Fault | undefined };
}

/** One act: what it answers is sent as JSON, what it throws in Ollama's form. */
type Act = (host: AdminHost, asked: JsonObject, reply: HttpReply) => Promise<object>;

/** Largest body: a name or two. */
const MOST_BYTES = 64 * 1024;

/** Letters listed at most, of each model and in all. */
const MOST_LISTED = 100;

const JSON_TYPE: Headers = [
  ["content-type", "application/json"],
  ["cache-control", "no-store"],
];

const ACTS: Readonly<Record<string, Act>> = {
  "/admin/workers/drain": (host, asked) => tellWorker(host, asked, "drain"),
  "/admin/workers/undrain": (host, asked) => tellWorker(host, asked, "undrain"),
  "/admin/dead/retry": retry,
  "/admin/dead/drop": drop,
};

/**
 * What the live page lets holders of an admin key do. The key comes in a header, which pages of other origins can send
 * only when SGNET_ORIGINS lets them, and never in a URL or a cookie.
 */
export function adminRoutes(host: AdminHost): readonly Route[] {
  const acts = Object.entries(ACTS).map(([path, act]): Route => {
    const handler = guarded(host, (request, reply) =>
      act(host, readShortBody(request.body, MOST_BYTES).value, reply),
    );
    return { method: "POST", path, handler };
  });
  return [{ method: "GET", path: "/admin/dead", handler: guarded(host, () => list(host)) }, ...acts];
}

function guarded(
  host: AdminHost,
  work: (request: HttpRequest, reply: HttpReply) => Promise<object>,
): Handler {
  return (request, reply) => {
    answer(host, request, { reply, work }).catch((error: unknown) => {
      sendPathFault(request, reply, toFault(error));
    });
  };
}

async function answer(
  host: AdminHost,
  request: HttpRequest,
  { reply, work }: { reply: HttpReply; work: (request: HttpRequest, reply: HttpReply) => Promise<object> },
): Promise<void> {
  if (!host.keyring.isAdmin(request.headers)) {
    throw new Fault("policy_disabled", "this needs a key of SGNET_ADMIN_KEY");
  }
  const unready = host.board.unready();
  if (unready !== undefined) throw unready;
  const done = await work(request, reply);
  reply.send(200, [...JSON_TYPE, ...plainIdHeaders(request)], JSON.stringify(done));
}

async function tellWorker(
  { connection, keys, catalogue }: AdminHost,
  asked: JsonObject,
  verb: "drain" | "undrain",
): Promise<object> {
  const worker = textOf(asked, "worker");
  if (!catalogue.workers.some(({ id }) => id === worker)) {
    throw new Fault("invalid_request", `there is no worker ${worker}`, { http: 404 });
  }
  await publishDrain(connection, keys, worker, verb);
  return { worker, told: verb };
}

/** The newest of all models, the newest first. */
async function list({ connection, keys }: AdminHost): Promise<{ readonly letters: readonly LetterFacts[] }> {
  const facts: LetterFacts[] = [];
  for (const model of await modelsWithLetters(connection, keys)) {
    let read = 0;
    for await (const letter of lettersOf(connection, keys, model)) {
      facts.push(factsOf(letter));
      read += 1;
      if (read >= MOST_LISTED) break;
    }
  }
  return { letters: facts.toSorted((a, b) => b.at - a.at).slice(0, MOST_LISTED) };
}

/** Answers when the task that was run again is over; the letter goes as with `sgnet dead retry`. */
async function retry(host: AdminHost, asked: JsonObject, reply: HttpReply): Promise<object> {
  const { catalogue } = host;
  const desk = {
    ...host,
    readers: catalogue,
    serves: (model: string): boolean => catalogue.offered.has(model),
  };
  const { run, outcome, removed } = await retryLetter(desk, {
    ...letterOf(asked),
    // Nobody reads the answer here: its pieces are not gathered.
    onBytes: () => {},
    onRun: (again) => {
      reply.onAbort(() => again.cancel());
      // Whoever left before that was not heard.
      if (reply.aborted) again.cancel();
    },
  });
  const { fault, totalMs, status } = outcome;
  const code = fault?.code ?? "ok";
  const how = { task: run.task, code, status, totalMs: Math.round(totalMs), removed };
  return fault === undefined ? how : { ...how, message: fault.message };
}

async function drop({ connection, keys }: AdminHost, asked: JsonObject): Promise<object> {
  const name = letterOf(asked);
  const letter = await readLetter(connection, keys, name);
  if (letter === undefined) throw noLetter(name);
  return { dropped: await dropLetter(connection, keys, letter) };
}

function letterOf(asked: JsonObject): LetterName {
  const name = { model: textOf(asked, "model"), id: textOf(asked, "id") };
  if (!/^\d+-\d+$/.test(name.id)) throw noLetter(name);
  return name;
}

function textOf(asked: JsonObject, name: string): string {
  const value = Object.hasOwn(asked, name) ? asked[name] : undefined;
  if (typeof value === "string" && value !== "") return value;
  throw new Fault("invalid_request", `${name} must be a text`);
}
