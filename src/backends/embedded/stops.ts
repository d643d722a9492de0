/** What a stop filter lets through. */
export interface Filtered {
  readonly text: string;
  /** True when a stop string has come: nothing after it counts. */
  readonly stopped: boolean;
}

/** Cuts a streamed text at the first stop string that is complete, wherever the pieces of the stream begin and end. */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = "";

  /** Empty stop strings are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** Takes a piece; gives what cannot be part of a stop string any more. */
  push(piece: string): Filtered {
    const text = this.#held + piece;
    const cut = this.#firstStop(text);
    if (cut !== undefined) {
      this.#held = "";
      return { text: text.slice(0, cut), stopped: true };
    }
    const safe = text.length - this.#possibleStart(text);
    this.#held = text.slice(safe);
    return { text: text.slice(0, safe), stopped: false };
  }

  /** The stream has ended: what was held back is text after all. */
  end(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }

  /** Where the stop string begins that is complete first; so the split of the text makes no difference. */
  #firstStop(text: string): number | undefined {
    let first: { readonly start: number; readonly end: number } | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      const end = start + stop.length;
      if (start < 0 || (first !== undefined && first.end < end)) continue;
      if (first === undefined || end < first.end || start < first.start) first = { start, end };
    }
    return first?.start;
  }

  /** Length of the longest end of the text with which a stop string begins. */
  #possibleStart(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      const most = Math.min(stop.length - 1, text.length);
      for (let length = most; length > longest; length--) {
        if (stop.startsWith(text.slice(text.length - length))) longest = length;
      }
    }
    return longest;
  }
}
