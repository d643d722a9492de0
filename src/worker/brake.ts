import type { Brake, Source } from "../backends/backend.ts";

/**
 * Holds the backends of one attempt back while its reply cannot go on: because its client is behind, or because Redis
 * takes no more. What the client's gateway says is a lease: it must be said again, else the reply goes on.
 */
export class ReplyBrake implements Brake {
  #sources: Source[] = [];
  /** Mono ms until which the gateway wants it; 0 when it does not. */
  #until = 0;
  #full = false;
  #over = false;

  get held(): boolean {
    return !this.#over && (this.#full || this.#until > 0);
  }

  attach(source: Source): void {
    this.#sources.push(source);
    if (this.held) source.pause();
  }

  detach(source: Source): void {
    this.#sources = this.#sources.filter((one) => one !== source);
  }

  /** The client is behind: holds until then (mono ms), or until {@link release}. */
  hold(until: number): void {
    const before = this.held;
    this.#until = until;
    this.#tell(before);
  }

  release(): void {
    const before = this.held;
    this.#until = 0;
    this.#tell(before);
  }

  /** Whether as much waits for Redis as may. */
  full(isFull: boolean): void {
    const before = this.held;
    this.#full = isFull;
    this.#tell(before);
  }

  /** To be called now and then, with mono ms: a hold that was not renewed ends. True while it holds. */
  look(now: number): boolean {
    if (this.#until > 0 && now >= this.#until) this.release();
    return this.held;
  }

  /** The attempt is over: nothing is held any more. */
  end(): void {
    const before = this.held;
    this.#over = true;
    this.#tell(before);
  }

  #tell(before: boolean): void {
    const { held } = this;
    if (held === before) return;
    for (const source of this.#sources) {
      // A source that resumes may write at once, and so fill the outbox anew.
      if (this.held !== held) return;
      if (held) source.pause();
      else source.resume();
    }
  }
}
