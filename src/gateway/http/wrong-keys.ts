import { bucketOf, takeUnits } from "../../core/access/gcra.ts";
import { networkOf } from "./keyring.ts";

/** Wrong keys that one network may send within a minute. */
const PER_MINUTE = 20;

const BUCKET = bucketOf(PER_MINUTE, PER_MINUTE);

/** Most networks in memory, about 100 bytes each. */
const MOST_NETWORKS = 4096;

/**
 * Bounds the wrong keys of each network, so that guessing fills neither logs nor CPU. Valid keys are not counted: others
 * may share the address of a guesser, such as behind a proxy.
 */
export class WrongKeys {
  /** The time of each bucket, the network with the latest wrong key last. */
  readonly #fullAt = new Map<string, number>();
  readonly #mono: () => number;

  /** @param mono ms, monotonic */
  constructor(mono: () => number) {
    this.#mono = mono;
  }

  /** Networks in memory. */
  get size(): number {
    return this.#fullAt.size;
  }

  /**
   * Counts a wrong key. A key above the bound is not counted, so that its network has room again soon.
   * @param remote the peer's address
   * @returns seconds until the network may send another wrong key; 0 when this one was within the bound
   */
  count(remote: string): number {
    const network = networkOf(remote);
    const now = this.#mono();
    const { granted, fullAt, waitMs } = takeUnits(BUCKET, this.#fullAt.get(network) ?? 0, now, 1);
    if (granted === 0) return Math.max(1, Math.ceil(waitMs / 1000));
    this.#fullAt.delete(network);
    this.#fullAt.set(network, fullAt);
    this.#forget(now);
    return 0;
  }

  /** Forgets one network whose bucket is full again, or one of too many. */
  #forget(now: number): void {
    for (const [network, fullAt] of this.#fullAt) {
      if (fullAt > now && this.#fullAt.size <= MOST_NETWORKS) return;
      this.#fullAt.delete(network);
    }
  }
}
