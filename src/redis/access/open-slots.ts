import type { Connection } from "../connection/connection.ts";
import { asArray } from "../connection/resp.ts";
import { lifeOf } from "../keys.ts";
import type { Keys } from "../keys.ts";
import { LEASE_SLOTS, run } from "../scripts.ts";

/** A key or a tenant whose open requests are bounded. */
export interface SlotScope {
  readonly tenant: string;
  /** Id of the key; absent for the tenant itself. */
  readonly key?: string | undefined;
}

/** The need of a gateway in one scope. */
export interface SlotDemand extends SlotScope {
  /** Requests that are open at the gateway. */
  readonly open: number;
  /** Further slots that it can use. */
  readonly want: number;
  /** Most open requests of all gateways. */
  readonly most: number;
}

/** Slots of a gateway in one scope. */
export interface SlotGrant {
  /** Slots beyond those of its open requests. */
  readonly further: number;
  /** Slots of other gateways. */
  readonly others: number;
}

/** A call for slots, by a gateway. */
export interface SlotCall {
  /** The gateway. */
  readonly tag: string;
  /** Grows with each call of the gateway. */
  readonly number: number;
  /** Ms until its slots end without another call. */
  readonly life: number;
}

/** The slots for open requests of all gateways. */
export class OpenSlotStore {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /**
   * States how many requests are open at a gateway, and asks for further slots. A repeated call is harmless. Rejects
   * with `redis_down`: then it is not known whether Redis has it.
   * @param demands all of one tenant
   */
  async ask({ tag, number, life }: SlotCall, demands: readonly SlotDemand[]): Promise<SlotGrant[]> {
    const keys = demands.map((demand) => this.#keys.openSlots(demand));
    const needs = demands.flatMap(({ open, want, most }) => [open, want, most].map(String));
    const reply = asArray(
      await run(this.#connection, LEASE_SLOTS, keys, [tag, String(number), lifeOf(life), ...needs]),
    );
    return demands.map((_demand, index) => ({
      further: Number(reply[2 * index]),
      others: Number(reply[2 * index + 1]),
    }));
  }

  /** Asks the other gateways for slots that they do not use. */
  async wish(tag: string, { tenant, key = "" }: SlotScope): Promise<void> {
    await this.#connection.command("PUBLISH", this.#keys.slotWishes(), `${tag} ${tenant} ${key}`);
  }

  /** Calls the listener for each wish of another gateway. @param tag the listening gateway */
  async onWish(tag: string, listener: (scope: SlotScope) => void): Promise<void> {
    await this.#connection.subscribe(this.#keys.slotWishes(), (message) => {
      const [sender, tenant = "", key = ""] = message.toString().split(" ");
      if (sender !== tag) listener({ tenant, key: key === "" ? undefined : key });
    });
  }
}
