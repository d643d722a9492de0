import type { KeyLimits } from "../../src/core/access/key-limits.ts";
import type { KeyRecord, TenantRecord } from "../../src/core/access/key-record.ts";
import type { Principal } from "../../src/core/access/principal.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Charge, LimitRequest } from "../../src/gateway/access/limit-check.ts";
import { RateSlices } from "../../src/gateway/access/rate-slices.ts";
import type { SliceHost } from "../../src/gateway/access/tenant-slices.ts";

/** A key with these limits, of a tenant with or without limits. */
export function principalWith(limits: KeyLimits, shared?: KeyLimits, name: string = "ann"): Principal {
  const key: KeyRecord = {
    id: `k-${name}`,
    name,
    tenant: "lab",
    digest: "",
    hint: "",
    role: "client",
    models: ["*"],
    created: 0,
    ...limits,
  };
  const tenant: TenantRecord = { name: "lab", created: 0, ...shared };
  return shared === undefined ? { role: "client", key } : { role: "client", key, tenant };
}

/** One gateway's slices, asked by a test. */
export class RateGateway {
  readonly slices: RateSlices;
  /** Requests that took no call, and those that waited for one. */
  atOnce = 0;
  waited = 0;

  constructor(rates: SliceHost["rates"], mono: () => number, onCall: () => void = () => {}) {
    this.slices = new RateSlices({ rates, mono, onCall });
  }

  /** Resolves with the charge, or with the fault of a refusal. */
  async ask(principal: Principal, tokens: Partial<LimitRequest> = {}): Promise<Charge | Fault> {
    const request = { principal, model: "tiny", inputTokens: 0, outputTokens: 0, ...tokens };
    try {
      const charge = this.slices.charge(request);
      if (charge instanceof Promise) this.waited += 1;
      else this.atOnce += 1;
      const taken = await charge;
      if (taken === undefined) throw new Error("no limit applies");
      return taken;
    } catch (error) {
      if (error instanceof Fault) return error;
      throw error;
    }
  }
}

/** The most units within any span of so many ms. @param events [time, units], in their order */
export function mostWithin(events: readonly (readonly [number, number])[], spanMs: number): number {
  let [most, sum, first] = [0, 0, 0];
  for (const [time, units] of events) {
    sum += units;
    for (; (events[first]?.[0] ?? time) < time - spanMs; first += 1) sum -= events[first]?.[1] ?? 0;
    most = Math.max(most, sum);
  }
  return most;
}
