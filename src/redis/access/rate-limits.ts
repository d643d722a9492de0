import type { Connection } from "../connection/connection.ts";
import { asText } from "../connection/resp.ts";
import type { Keys } from "../keys.ts";
import { LEASE, run } from "../scripts.ts";

/** A request for units of one limit. */
export interface UnitRequest {
  // 7 fields: the arguments of the script for one limit
  /** Name of the limit within its tenant. */
  readonly field: string;
  readonly perMinute: number;
  readonly burst: number;
  /** Units that are used as soon as they are granted. */
  readonly need: number;
  /** Units in all, at least `need`. The rest is a slice. */
  readonly want: number;
  /** Ms from the call until the slice is used or given back. */
  readonly holdMs: number;
  /** Units taken before, or given back when negative. */
  readonly settle: number;
}

export interface GrantedUnits {
  /** 0 to `want`. */
  readonly granted: number;
  /** Units that the bucket lacks. More than its burst after requests that were larger than estimated. */
  readonly lack: number;
}

/** The rate limits of tenants and their keys, counted in Redis for all gateways together, by its clock. */
export class RateLimits {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** True while Redis can be asked. */
  get ready(): boolean {
    return this.#connection.ready;
  }

  /**
   * Takes units of several limits of a tenant, each by itself. Rejects with `redis_down`; the units may be taken then.
   * @returns one result for each request, in their order
   */
  async lease(tenant: string, requests: readonly UnitRequest[]): Promise<readonly GrantedUnits[]> {
    const args = requests.flatMap((request) => [
      request.field,
      String(request.perMinute),
      ...[request.burst, request.need, request.want, request.holdMs, request.settle].map(String),
    ]);
    const answer = (await run(this.#connection, LEASE, [this.#keys.rates(tenant)], args)) as unknown[];
    return requests.map((_request, index) => ({
      granted: Number(answer[2 * index]),
      lack: Number(asText(answer[2 * index + 1] as Buffer)),
    }));
  }
}
