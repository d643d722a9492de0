import { isUtf8 } from "node:buffer";
import type { Settings } from "../config/settings.ts";
import { modelKey } from "../core/model.ts";
import { meantWord } from "../core/nearest.ts";
import type { Connection } from "../redis/connection.ts";
import { bodyOfLetter, dropLetter, lettersOf, modelsWithLetters } from "../redis/dead-letters.ts";
import type { DeadLetter } from "../redis/dead-letters.ts";
import { Keys } from "../redis/keys.ts";
import { factsOf } from "../redis/letter-facts.ts";
import { retryLetters } from "./dead-retry.ts";
import { letterBytes, renderLetters } from "./dead-view.ts";
import { BytePrinter, print, printJson } from "./print.ts";
import { withConnection } from "./redis-url.ts";

/** What `sgnet dead` was asked. */
export interface DeadOrder {
  /** list when absent. */
  readonly action: string | undefined;
  /** Of a letter, of its task or of its request. */
  readonly id: string | undefined;
  /** Only letters of this model, by any of its spellings. */
  readonly model: string | undefined;
  readonly all: boolean;
  /** Show the request's body too. */
  readonly body: boolean;
  readonly json: boolean;
}

interface Desk {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly keys: Keys;
  readonly order: DeadOrder;
}

const ACTIONS: Readonly<Record<string, (desk: Desk) => Promise<number>>> = {
  list,
  show,
  retry,
  drop,
};

/** Letters listed at most; `--json` lists all. */
const MOST_LISTED = 200;

/** Lists, shows, runs again or removes dead letters. Resolves with the exit code. */
export async function runDead(settings: Settings, order: DeadOrder): Promise<number> {
  const { action = "list" } = order;
  const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (act === undefined)
    throw new Error(`sgnet dead knows list, show, retry and drop, not ${action}.${guess(action)}`);
  return withConnection(settings, "dead", (connection) =>
    act({ settings, connection, keys: new Keys(settings.prefix), order }),
  );
}

function guess(action: string): string {
  const meant = meantWord(action, Object.keys(ACTIONS));
  return meant === undefined ? "" : ` Did you mean ${meant}?`;
}

/** Those the order asks for by its model: the newest first, model by model. */
async function* lettersIn({ connection, keys, order }: Desk): AsyncGenerator<DeadLetter> {
  const models =
    order.model === undefined ? await modelsWithLetters(connection, keys) : [modelKey(order.model)];
  for (const model of models) yield* lettersOf(connection, keys, model);
}

async function list(desk: Desk): Promise<number> {
  const facts = [];
  for await (const letter of lettersIn(desk)) facts.push(factsOf(letter));
  facts.sort((a, b) => b.at - a.at);
  const left = facts.length - MOST_LISTED;
  if (desk.order.json) printJson(facts);
  else print(renderLetters(facts.slice(0, MOST_LISTED), { now: Date.now(), left }));
  return 0;
}

async function show(desk: Desk): Promise<number> {
  const { connection, keys, order } = desk;
  const letter = await theOne(desk);
  const body = await bodyOfLetter(connection, keys, letter);
  const facts = { ...factsOf(letter), bodyBytes: body?.length };
  const shown = order.body ? body : undefined;
  if (order.json) printJson({ ...facts, ...bodyMember(shown) });
  else new BytePrinter().print(letterBytes(facts, shown));
  return 0;
}

/** A form with a file in it is no text: it is told in base64. */
function bodyMember(body: Buffer | undefined): Readonly<Record<string, string>> {
  if (body === undefined) return {};
  return isUtf8(body) ? { body: body.toString() } : { bodyBase64: body.toString("base64") };
}

async function retry(desk: Desk): Promise<number> {
  const { all, json } = desk.order;
  return retryLetters(desk, await chosen(desk), { answers: !all, json });
}

async function drop(desk: Desk): Promise<number> {
  const letters = await chosen(desk);
  let dropped = 0;
  for (const letter of letters) dropped += Number(await dropLetter(desk.connection, desk.keys, letter));
  if (desk.order.json) printJson({ dropped });
  else print(`${dropped} dead letter${dropped === 1 ? "" : "s"} removed.\n`);
  return 0;
}

/** The oldest first. */
async function chosen(desk: Desk): Promise<readonly DeadLetter[]> {
  const { all, id } = desk.order;
  if (!all) return [await theOne(desk)];
  if (id !== undefined) throw new Error("An ID and --all do not go together.");
  const letters = await Array.fromAsync(lettersIn(desk));
  return letters.toReversed();
}

/** The letter that the order names. Rejects with a sentence when there is none, or more than one. */
async function theOne(desk: Desk): Promise<DeadLetter> {
  const { action, id } = desk.order;
  if (id === undefined) {
    throw new Error(`An ID is missing: sgnet dead ${action} ID. sgnet dead list shows them.`);
  }
  const found: DeadLetter[] = [];
  for await (const letter of lettersIn(desk)) if (isNamed(letter, id)) found.push(letter);
  const [letter, ...others] = found;
  if (letter === undefined) throw new Error(`There is no dead letter ${id}: sgnet dead list shows them.`);
  if (others.length === 0) return letter;
  const names = found.map((one) => `${one.id} of ${one.model}`).join(", ");
  throw new Error(
    `${found.length} dead letters are called ${id}: ${names}. Say which, with --model if need be.`,
  );
}

function isNamed({ id, task }: DeadLetter, name: string): boolean {
  return id === name || task?.id === name || task?.requestId === name;
}
