import type { GrantedUnits, RateLimits, UnitRequest } from "../../../src/redis/access/rate-limits.ts";

interface Bucket {
  lack: number;
  since: number;
  burst: number;
}

/** The rule of the script LEASE, by a clock of the test's own. */
export class RateModel implements Pick<RateLimits, "lease" | "ready"> {
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  ready = true;
  /** Calls so far. */
  calls = 0;
  /** Whether the answer of the next call gets lost, after it has had its effect. */
  losesAnswer: () => boolean = () => false;

  /** @param now ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  lease(_tenant: string, requests: readonly UnitRequest[]): Promise<readonly GrantedUnits[]> {
    this.calls += 1;
    const granted = requests.map((request) => this.grant(request));
    return this.losesAnswer() ? Promise.reject(new Error("cut")) : Promise.resolve(granted);
  }

  grant({ field, perMinute, burst, need, want, holdMs, settle }: UnitRequest): GrantedUnits {
    const now = this.#now();
    const perMs = perMinute / 60_000;
    const kept = this.#buckets.get(field) ?? { lack: 0, since: now, burst };
    const refilled = Math.max(0, kept.lack - Math.max(0, now - kept.since) * perMs);
    const owed = Math.max(0, refilled * (burst / kept.burst) + settle);
    const granted = Math.max(0, Math.min(want, Math.floor(burst - owed + 1e-6)));
    const taken = owed + granted;
    const lack = granted > need ? Math.max(taken, granted - need + holdMs * perMs) : taken;
    this.#buckets.set(field, { lack, since: now, burst });
    return { granted, lack };
  }
}
