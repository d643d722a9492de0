import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { LetterName } from "../../redis/dead-letters.ts";
import { factsOf } from "../../redis/letter-facts.ts";
import type { LetterFacts } from "../../redis/letter-facts.ts";
import type { Stores } from "../../redis/stores.ts";
import { readShortBody } from "../requests/body.ts";
import type { Catalogue } from "../fleet/catalogue.ts";
import { adminHandler } from "../access/admin-handler.ts";
import type { AdminAnswer, AdminCall, AdminGuardHost } from "../access/admin-handler.ts";
import type { Route } from "../http/http.ts";
import type { RerunHost } from "./rerun.ts";
import type { KnownReaders } from "../requests/destination.ts";
import { noLetter, retryLetter } from "./retry.ts";

export interface AdminHost extends AdminGuardHost {
  readonly stores: Pick<Stores, "control" | "letters">;
  readonly catalogue: Pick<Catalogue, "workers" | "offered"> & KnownReaders;
  readonly dispatcher: RerunHost;
}

/** Carries out one path. The result is sent as JSON, an error in Ollama's form. */
type Act = (host: AdminHost, body: JsonObject, call: AdminCall) => Promise<object>;

/** Largest body (bytes): it has a name or two. */
const MOST_BYTES = 64 * 1024;

/** Most letters in a list, of each model and of all. */
const MOST_LISTED = 100;

/** The paths, each with its name in the audit log. */
const ACTS: readonly (readonly [path: string, action: string, act: Act])[] = [
  [
    "/admin/workers/drain",
    "workers.drain",
    async (host, body, call) => sendDrain(host, body, { verb: "drain", call }),
  ],
  [
    "/admin/workers/undrain",
    "workers.undrain",
    async (host, body, call) => sendDrain(host, body, { verb: "undrain", call }),
  ],
  ["/admin/dead/retry", "dead.retry", retry],
  ["/admin/dead/drop", "dead.drop", drop],
];

/**
 * Returns the paths of the live page for holders of an admin key. The key comes in a header, never in a URL or a cookie.
 * Pages of other origins can send that header only when SGNET_ORIGINS lists them.
 */
export function adminRoutes(host: AdminHost): readonly Route[] {
  const acts = ACTS.map(([path, action, act]): Route => {
    const handler = adminHandler(host, action, async (call) => ({
      body: await act(host, readShortBody(call.request.body, MOST_BYTES).value, call),
    }));
    return { method: "POST", path, handler };
  });
  const listed = async (): Promise<AdminAnswer> => ({ body: await list(host) });
  return [{ method: "GET", path: "/admin/dead", handler: adminHandler(host, "dead.list", listed) }, ...acts];
}

async function sendDrain(
  { stores, catalogue }: AdminHost,
  body: JsonObject,
  { verb, call }: { readonly verb: "drain" | "undrain"; readonly call: AdminCall },
): Promise<object> {
  const worker = textOf(body, "worker");
  if (!catalogue.workers.some(({ id }) => id === worker)) {
    throw new Fault("invalid_request", `there is no worker ${worker}`, { http: 404 });
  }
  await stores.control.drain(worker, verb);
  await call.record({ target: worker }, "sent");
  return { worker, told: verb };
}

/** Lists the newest letters of all models, the newest first. */
async function list({ stores }: AdminHost): Promise<{ readonly letters: readonly LetterFacts[] }> {
  const facts: LetterFacts[] = [];
  for (const model of await stores.letters.models()) {
    let read = 0;
    for await (const letter of stores.letters.list(model)) {
      facts.push(factsOf(letter));
      read += 1;
      if (read >= MOST_LISTED) break;
    }
  }
  return { letters: facts.toSorted((a, b) => b.at - a.at).slice(0, MOST_LISTED) };
}

/** Runs a letter again and answers when its task is over. The letter is removed as by `sgnet dead retry`. */
async function retry(host: AdminHost, body: JsonObject, call: AdminCall): Promise<object> {
  const { catalogue } = host;
  const { reply } = call;
  const name = letterOf(body);
  const retryHost = {
    ...host,
    readers: catalogue,
    serves: (model: string): boolean => catalogue.offered.has(model),
  };
  const { run, outcome, removed } = await retryLetter(retryHost, {
    ...name,
    // Drops the pieces: the page does not show the answer.
    onBytes: () => {},
    onRun: (again) => {
      reply.onGone(() => again.cancel());
      // A client that left before set off no callback.
      if (reply.isGone) again.cancel();
      // The run is an action of the admin even when its client leaves before the end.
      void call.record({ target: targetOf(name) }, "sent");
    },
  });
  const { fault, totalMs, status } = outcome;
  const code = fault?.code ?? "ok";
  const result = { task: run.task, code, status, totalMs: Math.round(totalMs), removed };
  return fault === undefined ? result : { ...result, message: fault.message };
}

async function drop({ stores }: AdminHost, body: JsonObject, call: AdminCall): Promise<object> {
  const name = letterOf(body);
  const letter = await stores.letters.read(name);
  if (letter === undefined) throw noLetter(name);
  const dropped = await stores.letters.drop(letter);
  if (dropped) await call.record({ target: targetOf(name) });
  return { dropped };
}

/** The name of a letter in the audit log. */
function targetOf({ model, id }: LetterName): string {
  return `${id} of ${model}`;
}

function letterOf(body: JsonObject): LetterName {
  const name = { model: textOf(body, "model"), id: textOf(body, "id") };
  if (!/^\d+-\d+$/.test(name.id)) throw noLetter(name);
  return name;
}

function textOf(body: JsonObject, name: string): string {
  const value = Object.hasOwn(body, name) ? body[name] : undefined;
  if (typeof value === "string" && value !== "") return value;
  throw new Fault("invalid_request", `${name} must be a text`);
}
