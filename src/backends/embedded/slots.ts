/** A fixed number of slots, handed out one task each in the order of asking. */
export class SlotPool<Slot> {
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  constructor(slots: readonly Slot[]) {
    this.#free = [...slots];
  }

  /** Resolves with a slot of the caller's own; rejects with the signal's reason when it aborts first. */
  take(signal: AbortSignal): Promise<Slot> {
    signal.throwIfAborted();
    const slot = this.#free.pop();
    return slot === undefined ? this.#wait(signal) : Promise.resolve(slot);
  }

  /** Gives a slot back: to the longest waiting caller, if any. */
  give(slot: Slot): void {
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
