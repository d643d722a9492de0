import type { Token } from "node-llama-cpp";
import { withoutTrailing } from "../../core/trailing.ts";

/** Gives the text of tokens; `before` are the tokens they follow. */
export type Detokenize = (tokens: readonly Token[], before: readonly Token[]) => string;

/** What a decoder puts in place of half a character. */
const HALF = "\uFFFD";
/** More tokens than any character has bytes: beyond them the bytes are not a character that is still coming. */
const MAX_HELD = 8;
const CONTEXT = 8;

/** Turns tokens into text without ever giving half a character: tokens may end inside of one. */
export class TokenText {
  readonly #detokenize: Detokenize;
  #before: readonly Token[] = [];
  #held: Token[] = [];

  constructor(detokenize: Detokenize) {
    this.#detokenize = detokenize;
  }

  /** The text that is whole with this token; may be empty. */
  push(token: Token): string {
    this.#held.push(token);
    const text = this.#detokenize(this.#held, this.#before);
    if (text.endsWith(HALF) && this.#held.length < MAX_HELD) return "";
    this.#before = [...this.#before, ...this.#held].slice(-CONTEXT);
    this.#held = [];
    return text;
  }

  /** No more tokens come: the whole characters of those held back. */
  end(): string {
    const text = this.#detokenize(this.#held, this.#before);
    this.#held = [];
    return withoutTrailing(text, "\uFFFD");
  }
}
