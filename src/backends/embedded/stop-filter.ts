/** Output of a stop filter. */
export interface FilteredText {
  readonly text: string;
  /** True after a stop string: the rest of the stream is ignored. */
  readonly stopped: boolean;
}

/** Cuts a streamed text at the first complete stop string. The split of the stream into pieces makes no difference. */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = "";

  /** Empty stop strings are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** Takes a piece and returns the text that can no longer be part of a stop string. */
  push(piece: string): FilteredText {
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

  /** The held text, at the end of the stream. */
  end(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }

  /** Start of the stop string that is complete first; the split of the text makes no difference. */
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

  /** Length of the longest end of the text that begins a stop string. */
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
