import { modelOf } from "../../core/ability.ts";
import { isRestricted, mayUse, allowedModels } from "../../core/access/principal.ts";
import type { Principal } from "../../core/access/principal.ts";
import type { KnownFleet } from "./destination.ts";

/** The fleet as one key may know it: a model that it may not use is unknown, as one that no worker has. */
class AllowedFleet implements KnownFleet {
  readonly #principal: Principal;
  readonly #all: KnownFleet;

  constructor(principal: Principal, all: KnownFleet) {
    this.#principal = principal;
    this.#all = all;
  }

  find(name: string): string | undefined {
    const key = this.#all.find(name);
    return key !== undefined && mayUse(this.#principal, key) ? key : undefined;
  }

  cardsOf(key: string): ReturnType<KnownFleet["cardsOf"]> {
    return this.#all.cardsOf(key);
  }

  remembers(queue: string): boolean {
    return this.#all.remembers(queue);
  }

  get cards(): KnownFleet["cards"] {
    return allowedModels(this.#principal, this.#all.cards);
  }

  get known(): readonly string[] {
    return this.#all.known.filter((queue) => mayUse(this.#principal, modelOf(queue)));
  }

  get offered(): ReadonlySet<string> {
    return this.#all.offered;
  }
}

/** The fleet as a request may know it. The same for a request that may use all models. */
export function fleetFor(principal: Principal, all: KnownFleet): KnownFleet {
  return isRestricted(principal) ? new AllowedFleet(principal, all) : all;
}
