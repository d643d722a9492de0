import { readNote } from "../core/attempt-note.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import { isCause } from "../core/cause.ts";
import type { Cause } from "../core/cause.ts";
import { defaultCause, isFaultCode } from "../core/fault.ts";
import type { FaultRecord } from "../core/fault.ts";
import type { Json } from "../core/json.ts";
import { modelOf } from "../core/ability.ts";
import { decodeTask } from "../wire/task-codec.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import { BodyStore } from "./body-store.ts";
import type { Connection } from "./connection/connection.ts";
import type { Keys } from "./keys.ts";
import { asArray, asEntries, asJson, asText } from "./connection/resp.ts";
import type { StreamEntry } from "./connection/resp.ts";
import { HOLD, run } from "./scripts.ts";

/** Letters kept per model, about. */
const KEEP = "10000";

/** Life of a body that was too large for its queue entry, ms: 10,000 of them take much memory. */
const BODY_LIFE_MS = 86_400_000;

/** Letters read at once. Their bodies come with them. */
const PAGE = 100;

/** A dead letter: a task that was given up, with the reason. */
export interface DeadLetter {
  /** Model key. */
  readonly model: string;
  /** Entry id. It begins with the time it was written, ms since 1970 by Redis's clock. */
  readonly id: string;
  /** Code and message of the fault. */
  readonly code: string;
  readonly message: string;
  /** Number of times a worker was given the task. */
  readonly deliveries: number;
  /** The worker that gave it up. */
  readonly worker: string;
  /** The party to blame. */
  readonly cause: Cause;
  /** Notes on failed attempts as far as known, the oldest first. */
  readonly attempts: readonly AttemptNote[];
  /** Undefined when the queue entry was no task. */
  readonly task: TaskEnvelope | undefined;
}

/** A task to be given up. */
export interface NewLetter {
  /** Name of its queue. The letter belongs to that queue's model. */
  readonly model: string;
  readonly payload: Buffer;
  /** Id of the task when its body has a key of its own. */
  readonly bodyOf?: string;
  readonly fault: FaultRecord;
  readonly deliveries: number;
  readonly worker: string;
  /** Notes on failed attempts; absent for none. */
  readonly notes?: readonly AttemptNote[];
}

function toLetter(model: string, { id, fields }: StreamEntry): DeadLetter {
  const values = new Map<string, Buffer>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    values.set(asText(fields[at]), fields[at + 1] ?? Buffer.alloc(0));
  }
  const text = (name: string): string => asText(values.get(name));
  const code = text("code");
  const cause = text("cause");
  return {
    model,
    id,
    code,
    cause: isCause(cause) ? cause : isFaultCode(code) ? defaultCause(code, 0) : "worker",
    attempts: notesOf(values.get("attempts")),
    message: text("message"),
    deliveries: Number(text("deliveries")),
    worker: text("worker"),
    task: taskOf(values.get("t")),
  };
}

/** Letters of older workers have no notes. */
function notesOf(text: Buffer | undefined): readonly AttemptNote[] {
  const values = asJson(text);
  return Array.isArray(values) ? values.flatMap((value: Json) => readNote(value) ?? []) : [];
}

function taskOf(payload: Buffer | undefined): TaskEnvelope | undefined {
  try {
    return decodeTask(payload ?? Buffer.alloc(0));
  } catch {
    return undefined;
  }
}

/** Names a letter. */
export type LetterName = Pick<DeadLetter, "model" | "id">;

/** Life of the lock on a letter that runs again, ms. */
export const LETTER_LOCK_MS = 15_000;

/** The dead letters of all models, for people to read and to run again. */
export class DeadLetters {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #bodies: BodyStore;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
    this.#bodies = new BodyStore(connection, keys);
  }

  /** Writes a dead letter. Call it before the gateway learns of the end: the gateway removes a large body. */
  async add(letter: NewLetter): Promise<void> {
    const { payload, bodyOf, fault, deliveries, worker, notes = [] } = letter;
    const model = modelOf(letter.model);
    if (bodyOf !== undefined) await this.#keepBody(model, bodyOf);
    const reason = ["code", fault.code, "message", fault.message];
    const facts = ["deliveries", String(deliveries), "worker", worker];
    const blame = ["cause", fault.cause ?? defaultCause(fault.code, fault.http)];
    const tries = notes.length === 0 ? [] : ["attempts", JSON.stringify(notes)];
    const fields = ["t", payload, ...reason, ...facts, ...blame, ...tries];
    const id = asText(
      await this.#connection.command("XADD", this.#keys.dead(model), "MAXLEN", "~", KEEP, "*", ...fields),
    );
    await this.#remember(model, id);
  }

  /** Notes that a model has letters. @param id entry id of the last one */
  async #remember(model: string, id: string): Promise<void> {
    await this.#connection.command("ZADD", this.#keys.deads(), id.split("-")[0] ?? "0", model);
  }

  async #keepBody(model: string, task: string): Promise<void> {
    const body = await this.#bodies.get(task);
    if (body === undefined) return;
    await this.#connection.command("SET", this.#keys.deadBody(model, task), body, "PX", String(BODY_LIFE_MS));
  }

  /** Keys of the models that have dead letters, whether a worker serves them or not. */
  async models(): Promise<string[]> {
    return asArray(await this.#connection.command("ZRANGE", this.#keys.deads(), "0", "-1")).map(asText);
  }

  /** The dead letters of a model, the newest first. They are read in pages as the caller goes on. */
  async *list(model: string): AsyncGenerator<DeadLetter> {
    let before = "+";
    for (;;) {
      const reply = await this.#connection.command(
        "XREVRANGE",
        this.#keys.dead(model),
        before,
        "-",
        "COUNT",
        String(PAGE),
      );
      const entries = asEntries(reply);
      for (const entry of entries) yield toLetter(model, entry);
      const last = entries.at(-1);
      if (last === undefined || entries.length < PAGE) return;
      before = `(${last.id}`;
    }
  }

  /** Reads one letter; undefined when it does not exist. */
  async read({ model, id }: LetterName): Promise<DeadLetter | undefined> {
    const [entry] = asEntries(await this.#connection.command("XRANGE", this.#keys.dead(model), id, id));
    return entry === undefined ? undefined : toLetter(model, entry);
  }

  /** Body of the request; undefined when the letter is no task or its large body has expired. */
  async bodyOf({ model, task }: DeadLetter): Promise<Buffer | undefined> {
    if (task === undefined || task.body !== undefined) return task?.body;
    const body = await this.#connection.command("GET", this.#keys.deadBody(model, task.id));
    return Buffer.isBuffer(body) ? body : undefined;
  }

  /** Locks a letter for {@link LETTER_LOCK_MS}, or renews the lock. Resolves with false when another holder has it. */
  async lock({ model, id }: LetterName, holder: string): Promise<boolean> {
    return (
      (await run(
        this.#connection,
        HOLD,
        [this.#keys.letterLock(model, id)],
        [holder, String(LETTER_LOCK_MS)],
      )) === 1
    );
  }

  /** Unlocks a letter. Does nothing when another holder has the lock. */
  async unlock({ model, id }: LetterName, holder: string): Promise<void> {
    await run(this.#connection, HOLD, [this.#keys.letterLock(model, id)], [holder, "0"]);
  }

  /** Removes a dead letter with its body. Resolves with false when it did not exist. */
  async drop({ model, id, task }: DeadLetter): Promise<boolean> {
    const removed = await this.#connection.command("XDEL", this.#keys.dead(model), id);
    if (task !== undefined && task.body === undefined) {
      await this.#connection.command("UNLINK", this.#keys.deadBody(model, task.id));
    }
    if ((await this.#newestId(model)) === undefined) await this.#forgetModel(model);
    return removed === 1;
  }

  async #newestId(model: string): Promise<string | undefined> {
    const reply = await this.#connection.command("XREVRANGE", this.#keys.dead(model), "+", "-", "COUNT", "1");
    return asEntries(reply)[0]?.id;
  }

  /** Removes a model without letters from the index. A letter written meanwhile adds it again, as does the second read. */
  async #forgetModel(model: string): Promise<void> {
    await this.#connection.command("ZREM", this.#keys.deads(), model);
    const id = await this.#newestId(model);
    if (id !== undefined) await this.#remember(model, id);
  }
}
