import { addUsage, NO_USAGE } from "../../core/access/usage-record.ts";
import type { UsageCounts } from "../../core/access/usage-record.ts";
import type { KeyUsage, UsageBatch } from "../../redis/access/usage-store.ts";

/** Time for which batches that Redis has are kept, in case a new master lacks them, ms. */
const KEPT_MS = 60_000;

/** A batch without an answer for so long is given up: Redis forgets the numbers of gateways after two days. */
const GIVEN_UP_MS = 86_400_000;

/** Keys and models of one batch: more go into the next one, since a long script would delay others. */
const MOST_ROWS = 500;

/** Batches that wait for Redis. Then the newest one takes all that comes. */
const MOST_WAITING = 120;

/** Most keys and models that wait. Further models count as `other`. */
const MOST_KEPT_ROWS = 20_000;

/** A batch while it is kept. */
interface KeptBatch {
  number: number;
  /** Mono ms of its first task. */
  readonly bornAt: number;
  readonly rows: Map<string, KeyUsage>;
  /** Mono ms at which Redis was seen to have it. */
  doneAt: number;
}

/**
 * The use of one tenant at this gateway, in numbered batches. A batch stays until Redis has it, and a minute longer:
 * when a new master, or a restarted Redis, lacks the latest ones, they are sent again.
 */
export class TenantUsage {
  readonly #mono: () => number;
  readonly #nextNumber: () => number;
  #open: KeptBatch | undefined;
  #waiting: KeptBatch[] = [];
  #done: KeptBatch[] = [];
  /** The latest batch that Redis has. */
  #last = 0;
  /** Tokens that Redis may lack, by key; the sum of all keys under the empty name. */
  readonly #unsent = new Map<string, number>();

  /**
   * @param mono ms
   * @param nextNumber a greater number at each call, even for another object of the same tenant: Redis knows the last one
   */
  constructor(mono: () => number, nextNumber: () => number) {
    this.#mono = mono;
    this.#nextNumber = nextNumber;
  }

  /** True while a batch is not known to be in Redis. */
  get isWaiting(): boolean {
    return this.#open !== undefined || this.#waiting.length > 0;
  }

  /** True while a batch may be lost with a master. */
  get isKeeping(): boolean {
    const now = this.#mono();
    this.#done = this.#done.filter(({ doneAt }) => now - doneAt < KEPT_MS);
    return this.#done.length > 0;
  }

  /** Tokens that Redis may lack. @param key empty: all keys */
  unsent(key: string): number {
    return this.#unsent.get(key) ?? 0;
  }

  add(key: string, model: string, counts: UsageCounts): void {
    const batch = (this.#open ??= { number: 0, bornAt: this.#mono(), rows: new Map(), doneAt: 0 });
    const name = this.#rowsKept < MOST_KEPT_ROWS ? model : "other";
    const id = `${key.length} ${key}${name}`;
    const known = batch.rows.get(id) ?? { key, model: name, ...NO_USAGE };
    batch.rows.set(id, { ...known, ...addUsage(known, counts) });
    this.#count(key, counts.inputTokens + counts.outputTokens);
    if (batch.rows.size >= MOST_ROWS) this.close();
  }

  /** Ends the batch that gathers: it may be sent. */
  close(): void {
    const batch = this.#open;
    if (batch === undefined || this.#waiting.length >= MOST_WAITING) return;
    this.#open = undefined;
    batch.number = this.#nextNumber();
    this.#waiting.push(batch);
  }

  /** The oldest batch that Redis is not known to have. */
  next(): UsageBatch | undefined {
    const now = this.#mono();
    const given = this.#waiting.findIndex(({ bornAt }) => now - bornAt < GIVEN_UP_MS);
    for (const lost of this.#waiting.splice(0, given === -1 ? this.#waiting.length : given)) {
      this.#release(lost, -1);
    }
    const [batch] = this.#waiting;
    if (batch === undefined) return undefined;
    const { number, bornAt, rows } = batch;
    return { number, after: this.#last, ageMs: now - bornAt, counts: rows.values() };
  }

  /**
   * Takes the number of the latest batch that Redis has. When it is older than before, Redis has lost the later ones:
   * they wait again.
   */
  confirmed(last: number): void {
    const now = this.#mono();
    const lost = this.#done.filter(({ number }) => number > last);
    for (const batch of lost) this.#release(batch, 1);
    const kept = this.#done.filter(({ number, doneAt }) => number <= last && now - doneAt < KEPT_MS);
    const here = this.#waiting.filter(({ number }) => number <= last);
    for (const batch of here) {
      batch.doneAt = now;
      this.#release(batch, -1);
    }
    this.#done = [...kept, ...here];
    this.#waiting = [...lost, ...this.#waiting.filter(({ number }) => number > last)];
    this.#last = last;
  }

  get #rowsKept(): number {
    return this.#waiting.reduce((sum, { rows }) => sum + rows.size, this.#open?.rows.size ?? 0);
  }

  /** @param sign 1: Redis may lack the batch; -1: it has it, or never gets it */
  #release({ rows }: KeptBatch, sign: 1 | -1): void {
    for (const { key, inputTokens, outputTokens } of rows.values()) {
      this.#count(key, sign * (inputTokens + outputTokens));
    }
  }

  #count(key: string, tokens: number): void {
    for (const name of key === "" ? [""] : [key, ""]) {
      const sum = this.unsent(name) + tokens;
      if (sum === 0) this.#unsent.delete(name);
      else this.#unsent.set(name, sum);
    }
  }
}
