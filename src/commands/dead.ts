import { isUtf8 } from "node:buffer";
import type { Settings } from "../config/settings.ts";
import { modelKey } from "../core/model.ts";
import { similarWord } from "../core/similar-names.ts";
import type { Connection } from "../redis/connection/connection.ts";
import type { DeadLetter } from "../redis/dead-letters.ts";
import { Keys } from "../redis/keys.ts";
import { factsOf } from "../redis/letter-facts.ts";
import { openStores } from "../redis/stores.ts";
import type { Stores } from "../redis/stores.ts";
import { recordStarted } from "./audited.ts";
import { retryLetters } from "./dead-retry.ts";
import { letterBytes, renderLetters } from "./dead-view.ts";
import { BytePrinter, print, printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";

/** Arguments of `sgnet dead`. */
export interface DeadArguments {
  /** Absent: list. */
  readonly action: string | undefined;
  /** Id of a letter, of its task or of its request. */
  readonly id: string | undefined;
  /** Only letters of this model, in any spelling of its name. */
  readonly model: string | undefined;
  readonly all: boolean;
  /** Also show the request body. */
  readonly body: boolean;
  readonly json: boolean;
}

interface DeadContext {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly stores: Pick<Stores, "audit" | "letters">;
  readonly args: DeadArguments;
}

const ACTIONS: Readonly<Record<string, (context: DeadContext) => Promise<number>>> = {
  list,
  show,
  retry,
  drop,
};

/** Most letters in the list; `--json` lists all. */
const MOST_LISTED = 200;

/** Lists, shows, retries or removes dead letters. Resolves with the exit code. */
export async function runDead(settings: Settings, args: DeadArguments): Promise<number> {
  const { action = "list" } = args;
  const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (act === undefined)
    throw new Error(`sgnet dead takes list, show, retry or drop, not ${action}.${guess(action)}`);
  return withConnection(settings, "dead", (connection) =>
    act({ settings, connection, stores: openStores(connection, new Keys(settings.prefix)), args }),
  );
}

function guess(action: string): string {
  const meant = similarWord(action, Object.keys(ACTIONS));
  return meant === undefined ? "" : ` Did you mean ${meant}?`;
}

/** The dead letters of the model in the arguments, or of every model: the newest first, model by model. */
async function* lettersIn({ stores, args }: DeadContext): AsyncGenerator<DeadLetter> {
  const models = args.model === undefined ? await stores.letters.models() : [modelKey(args.model)];
  for (const model of models) yield* stores.letters.list(model);
}

async function list(context: DeadContext): Promise<number> {
  const facts = [];
  for await (const letter of lettersIn(context)) facts.push(factsOf(letter));
  facts.sort((a, b) => b.at - a.at);
  const left = facts.length - MOST_LISTED;
  if (context.args.json) printJson(facts);
  else print(renderLetters(facts.slice(0, MOST_LISTED), { now: Date.now(), left }));
  return 0;
}

async function show(context: DeadContext): Promise<number> {
  const { stores, args } = context;
  const letter = await theOne(context);
  const body = await stores.letters.bodyOf(letter);
  const facts = { ...factsOf(letter), bodyBytes: body?.length };
  const shown = args.body ? body : undefined;
  if (args.json) printJson({ ...facts, ...bodyMember(shown) });
  else new BytePrinter().print(letterBytes(facts, shown));
  return 0;
}

/** The body as a JSON member. A form with a file is not text, so it is encoded in base64. */
function bodyMember(body: Buffer | undefined): Readonly<Record<string, string>> {
  if (body === undefined) return {};
  return isUtf8(body) ? { body: body.toString() } : { bodyBase64: body.toString("base64") };
}

async function retry(context: DeadContext): Promise<number> {
  const { all, json } = context.args;
  const letters = await chosen(context);
  return recorded(context, letters, {
    verb: "retry",
    work: async () => retryLetters(context, letters, { answers: !all, json }),
  });
}

async function drop(context: DeadContext): Promise<number> {
  const letters = await chosen(context);
  const work = async (): Promise<number> => {
    let count = 0;
    for (const letter of letters) count += Number(await context.stores.letters.drop(letter));
    return count;
  };
  const dropped = await recorded(context, letters, { verb: "drop", work });
  if (context.args.json) printJson({ dropped });
  else print(`${dropped} dead letter${dropped === 1 ? "" : "s"} removed.\n`);
  return 0;
}

/** Tells the audit log before the work, which may be cut short. Many letters have one entry. */
async function recorded(
  { stores, args }: DeadContext,
  letters: readonly DeadLetter[],
  { verb, work }: { readonly verb: "retry" | "drop"; readonly work: () => Promise<number> },
): Promise<number> {
  const [first] = letters;
  if (first === undefined) return work();
  const which = args.model === undefined ? "all letters" : `all letters of ${args.model}`;
  const target = args.all ? `${which} (${letters.length})` : `${first.id} of ${first.model}`;
  return recordStarted(stores.audit, { action: `dead.${verb}`, target }, work);
}

/** The chosen letters, the oldest first. */
async function chosen(context: DeadContext): Promise<readonly DeadLetter[]> {
  const { all, id } = context.args;
  if (!all) return [await theOne(context)];
  if (id !== undefined) throw new Error("ID and --all exclude each other.");
  const letters = await Array.fromAsync(lettersIn(context));
  return letters.toReversed();
}

/** The letter with the given id. Rejects with a sentence when no letter, or more than one, has it. */
async function theOne(context: DeadContext): Promise<DeadLetter> {
  const { action, id } = context.args;
  if (id === undefined) {
    throw new Error(`An ID is missing: sgnet dead ${action} ID. sgnet dead list shows them.`);
  }
  const found: DeadLetter[] = [];
  for await (const letter of lettersIn(context)) if (isNamed(letter, id)) found.push(letter);
  const [letter, ...others] = found;
  if (letter === undefined) throw new Error(`There is no dead letter ${id}: sgnet dead list shows them.`);
  if (others.length === 0) return letter;
  const names = found.map((one) => `${one.id} of ${one.model}`).join(", ");
  throw new Error(
    `${found.length} dead letters have the id ${id}: ${names}. Give the id of one, with --model if needed.`,
  );
}

function isNamed({ id, task }: DeadLetter, name: string): boolean {
  return id === name || task?.id === name || task?.requestId === name;
}
