import type { Backpressure, Source } from "../backends/backend.ts";

/**
 * Pauses the sources of one attempt while its reply cannot go on: its client is behind, or Redis takes no more. A pause
 * by the client's gateway is a lease. It must be renewed, or the reply goes on.
 */
export class ReplyBackpressure implements Backpressure {
  #sources: Source[] = [];
  /** Mono ms until which the gateway wants a pause; 0 for none. */
  #until = 0;
  #full = false;
  #over = false;

  get paused(): boolean {
    return !this.#over && (this.#full || this.#until > 0);
  }

  attach(source: Source): void {
    this.#sources.push(source);
    if (this.paused) source.pause();
  }

  detach(source: Source): void {
    this.#sources = this.#sources.filter((one) => one !== source);
  }

  /** The client is behind: pauses until this time (mono ms), or until {@link resume}. */
  pause(until: number): void {
    const before = this.paused;
    this.#until = until;
    this.#apply(before);
  }

  /** The client has caught up. */
  resume(): void {
    const before = this.paused;
    this.#until = 0;
    this.#apply(before);
  }

  /** Records whether as many bytes wait for Redis as may. */
  full(isFull: boolean): void {
    const before = this.paused;
    this.#full = isFull;
    this.#apply(before);
  }

  /** Ends a pause that was not renewed; to be called a few times per second. Returns true while it pauses. @param now mono ms */
  check(now: number): boolean {
    if (this.#until > 0 && now >= this.#until) this.resume();
    return this.paused;
  }

  /** The attempt is over: no source is paused any more. */
  end(): void {
    const before = this.paused;
    this.#over = true;
    this.#apply(before);
  }

  #apply(before: boolean): void {
    const { paused } = this;
    if (paused === before) return;
    for (const source of this.#sources) {
      // A source that resumes may write at once, and so fill the outbox anew.
      if (this.paused !== paused) return;
      if (paused) source.pause();
      else source.resume();
    }
  }
}
