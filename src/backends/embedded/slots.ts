/** A fixed number of slots. Each is given to one task at a time, in the order of requests. */
export class SlotPool<Slot> {
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  constructor(slots: readonly Slot[]) {
    this.#free = [...slots];
  }

  /** Resolves with a slot for the caller alone. Rejects with the signal's reason when it aborts first. */
  take(signal: AbortSignal): Promise<Slot> {
    signal.throwIfAborted();
    const slot = this.#free.pop();
    return slot === undefined ? this.#wait(signal) : Promise.resolve(slot);
  }

  /** Returns a slot, which goes to the caller that waits longest, if any. */
  release(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }

  #wait(signal: AbortSignal): Promise<Slot> {
    const { promise, resolve, reject } = Promise.withResolvers<Slot>();
    const leave = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(enter), 1);
      reject(signal.reason);
    };
    const enter = (slot: Slot): void => {
      signal.removeEventListener("abort", leave);
      resolve(slot);
    };
    signal.addEventListener("abort", leave, { once: true });
    this.#waiting.push(enter);
    return promise;
  }
}
