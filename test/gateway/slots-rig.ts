import { setImmediate as turn } from "node:timers/promises";
import type { Principal } from "../../src/core/access/principal.ts";
import { Fault } from "../../src/core/fault.ts";
import type { LimitRequest } from "../../src/gateway/access/limit-check.ts";
import { OpenSlots } from "../../src/gateway/access/open-slots.ts";
import type {
  OpenSlotStore,
  SlotCall,
  SlotDemand,
  SlotGrant,
  SlotScope,
} from "../../src/redis/access/open-slots.ts";

export interface SlotBounds {
  readonly key?: string;
  readonly tenant?: string;
  /** `maxOpen` of the key. */
  readonly ofKey?: number | undefined;
  /** `maxOpen` of the tenant. */
  readonly ofTenant?: number | undefined;
}

/** A request of a key with these bounds. */
export function boundedRequest({ key = "k1", tenant = "lab", ofKey, ofTenant }: SlotBounds): LimitRequest {
  const record = { id: key, name: key, tenant, digest: "", hint: "", models: ["*"], created: 0 };
  const principal: Principal = {
    role: "client",
    key: { ...record, role: "client", ...(ofKey === undefined ? {} : { maxOpen: ofKey }) },
    ...(ofTenant === undefined ? {} : { tenant: { name: tenant, created: 0, maxOpen: ofTenant } }),
  };
  return { principal, model: "tiny", inputTokens: 1, outputTokens: 1 };
}

/** Slots of a gateway, as Redis has them. */
interface Leased {
  readonly slots: number;
  readonly ends: number;
  readonly number: number;
}

/** The next call of a gateway: its connection breaks before or after Redis has it, or it takes long. */
export type CallFault = "cut" | "lost" | "stuck";

/** Slots as the script keeps them, in memory, by a clock that tests set. */
export class ModelRedis {
  readonly #mono: () => number;
  readonly #hashes = new Map<string, Map<string, Leased>>();
  readonly #listeners = new Map<string, (scope: SlotScope) => void>();
  readonly #faults = new Map<string, CallFault>();
  readonly #stuck: (() => void)[] = [];
  /** Number of calls. */
  calls = 0;
  /** Wishes, each as tenant and key. */
  readonly wishes: string[] = [];

  constructor(mono: () => number) {
    this.#mono = mono;
  }

  fail(tag: string, fault: CallFault): void {
    this.#faults.set(tag, fault);
  }

  /** From now on calls go well. */
  calm(): void {
    this.#faults.clear();
  }

  /** Lets calls go on that were stuck. */
  release(): void {
    for (const go of this.#stuck.splice(0)) go();
  }

  empty(): void {
    this.#hashes.clear();
  }

  /** A dead gateway hears nothing. */
  forget(tag: string): void {
    this.#listeners.delete(tag);
    this.#faults.delete(tag);
  }

  /** Slots in Redis that have not ended, by `tenant/key`. */
  get held(): Record<string, number> {
    const now = this.#mono();
    const found: Record<string, number> = {};
    for (const [name, hash] of this.#hashes) {
      const sum = [...hash.values()].reduce((total, { slots, ends }) => total + (ends > now ? slots : 0), 0);
      if (sum > 0) found[name] = sum;
    }
    return found;
  }

  /** The store of a gateway. */
  storeOf(tag: string): Pick<OpenSlotStore, "ask" | "wish" | "onWish"> {
    return {
      ask: async (call, demands) => {
        await turn();
        const fault = this.#faults.get(tag);
        this.#faults.delete(tag);
        if (fault === "stuck") await new Promise<void>((resolve) => this.#stuck.push(resolve));
        if (fault === "cut") throw new Fault("redis_down", "cut");
        this.calls += 1;
        const grants = demands.map((demand) => this.#ask(call, demand));
        await turn();
        if (fault === "lost") throw new Fault("redis_down", "lost");
        return grants;
      },
      wish: async (sender, { tenant, key }) => {
        this.wishes.push(`${tenant}/${key ?? ""}`);
        await turn();
        for (const [listener, hear] of this.#listeners) if (listener !== sender) hear({ tenant, key });
      },
      onWish: async (listener, hear) => {
        await turn();
        this.#listeners.set(listener, hear);
      },
    };
  }

  #ask({ tag, number, life }: SlotCall, { tenant, key, open, want, most }: SlotDemand): SlotGrant {
    const now = this.#mono();
    const name = `${tenant}/${key ?? ""}`;
    const hash = this.#hashes.get(name) ?? new Map<string, Leased>();
    this.#hashes.set(name, hash);
    for (const [other, { ends }] of hash) if (other !== tag && ends <= now) hash.delete(other);
    let others = 0;
    for (const [other, { slots }] of hash) if (other !== tag) others += slots;
    if ((hash.get(tag)?.number ?? 0) > number) return { further: 0, others };
    const further = Math.max(0, Math.min(want, most - others - open));
    if (open + further === 0) hash.delete(tag);
    else hash.set(tag, { slots: open + further, ends: now + life, number });
    return { further, others };
  }
}

/** A gateway's open slots over a model of Redis, and what its requests hold. */
export class SlotGateway {
  readonly tag: string;
  readonly slots: OpenSlots;
  readonly #redis: ModelRedis;
  #reconnect: () => void = () => {};

  constructor(redis: ModelRedis, tag: string, mono: () => number) {
    this.tag = tag;
    this.#redis = redis;
    const store = redis.storeOf(tag);
    const onReconnect = (listener: (moved: boolean) => void): void => {
      this.#reconnect = () => {
        listener(true);
      };
    };
    this.slots = new OpenSlots({ tag, store, listening: store, connection: { onReconnect }, mono });
  }

  reconnect(): void {
    this.#reconnect();
  }

  /** It ends without a word: its calls reach Redis no longer. */
  async kill(): Promise<void> {
    this.#redis.forget(this.tag);
    this.#redis.fail(this.tag, "cut");
    await this.slots.stop();
    this.#redis.forget(this.tag);
  }
}

/** Lets everything go on that waits for no timer. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 16; turns += 1) await turn();
}
