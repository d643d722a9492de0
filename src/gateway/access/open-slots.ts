import type { Connection } from "../../redis/connection/connection.ts";
import type { OpenSlotStore } from "../../redis/access/open-slots.ts";
import { ANNOUNCE_MS } from "../../redis/registry.ts";
import type { Charge, LimitCheck, LimitRequest, LimitState } from "./limit-check.ts";
import { TenantSlots } from "./tenant-slots.ts";

export interface OpenSlotsOptions {
  /** Names this gateway. */
  readonly tag: string;
  readonly store: Pick<OpenSlotStore, "ask" | "wish">;
  /** The store of the connection for subscriptions. */
  readonly listening: Pick<OpenSlotStore, "onWish">;
  readonly connection: Pick<Connection, "onReconnect">;
  readonly mono: () => number;
}

/**
 * Bounds the open requests of keys and tenants in the whole fleet (`maxOpen`). Redis leases slots to gateways. They end
 * 15 s after their gateway has died. A request waits for Redis only when this gateway has no free slot of its scopes.
 */
export class OpenSlots implements LimitCheck {
  readonly #options: OpenSlotsOptions;
  readonly #tenants = new Map<string, TenantSlots>();
  #calls = 0;
  #timer: NodeJS.Timeout | undefined;
  #isListening = false;
  #isStopped = false;

  constructor(options: OpenSlotsOptions) {
    this.#options = options;
    options.connection.onReconnect(() => {
      this.#renew(true);
    });
  }

  charge({ principal: { key, tenant } }: LimitRequest): Charge | Promise<Charge> | undefined {
    const mostOfKey = key?.maxOpen;
    const mostOfTenant = tenant?.maxOpen;
    if (key === undefined || (mostOfKey === undefined && mostOfTenant === undefined)) return undefined;
    const name = key.tenant;
    const scopes = [];
    if (mostOfKey !== undefined) scopes.push({ scope: { tenant: name, key: key.id }, most: mostOfKey });
    if (mostOfTenant !== undefined) scopes.push({ scope: { tenant: name }, most: mostOfTenant });
    return this.#tenantOf(name).take(scopes);
  }

  states(): readonly LimitState[] {
    return [];
  }

  /** Returns the slots of all requests that are over. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    await Promise.all([...this.#tenants.values()].map(async (tenant) => tenant.stop()));
  }

  #tenantOf(name: string): TenantSlots {
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) {
      const { tag, store, mono } = this.#options;
      const nextCall = (): number => (this.#calls += 1);
      this.#tenants.set(name, (tenant = new TenantSlots({ tag, store, mono, nextCall })));
      this.#start();
    }
    return tenant;
  }

  /** The first bounded request starts it: without bounds nothing runs and no channel is open. */
  #start(): void {
    if (this.#isStopped || this.#timer !== undefined) return;
    this.#timer = setInterval(() => {
      this.#renew(false);
    }, ANNOUNCE_MS);
    this.#timer.unref();
    this.#listen();
  }

  /** @param isDoubtful true when Redis may have lost the slots */
  #renew(isDoubtful: boolean): void {
    if (this.#timer === undefined) return;
    this.#listen();
    for (const [name, tenant] of this.#tenants) if (!tenant.renew(isDoubtful)) this.#tenants.delete(name);
  }

  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    const { listening, tag } = this.#options;
    const listened = listening.onWish(tag, (scope) => this.#tenants.get(scope.tenant)?.wished(scope));
    listened.catch(() => {
      this.#isListening = false;
    });
  }
}
