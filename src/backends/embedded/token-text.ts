import type { Token } from "node-llama-cpp";
import { trimEnd } from "../../core/trim-end.ts";

/** Returns the text of tokens; `before` are the preceding tokens. */
export type Detokenize = (tokens: readonly Token[], before: readonly Token[]) => string;

/** Placeholder of a decoder for an incomplete character. */
const HALF = "\uFFFD";
/** Most held tokens. A character has fewer bytes, so the bytes beyond are no incomplete character. */
const MAX_HELD = 8;
const CONTEXT = 8;

/** Turns tokens into text of complete characters, although a token may end within a character. */
export class TokenText {
  readonly #detokenize: Detokenize;
  #before: readonly Token[] = [];
  #held: Token[] = [];

  constructor(detokenize: Detokenize) {
    this.#detokenize = detokenize;
  }

  /** The text that this token completes; may be empty. */
  push(token: Token): string {
    this.#held.push(token);
    const text = this.#detokenize(this.#held, this.#before);
    if (text.endsWith(HALF) && this.#held.length < MAX_HELD) return "";
    this.#before = [...this.#before, ...this.#held].slice(-CONTEXT);
    this.#held = [];
    return text;
  }

  /** The complete characters of the held tokens, at the end of the stream. */
  end(): string {
    const text = this.#detokenize(this.#held, this.#before);
    this.#held = [];
    return trimEnd(text, "\uFFFD");
  }
}
