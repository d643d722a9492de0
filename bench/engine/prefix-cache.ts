/** Which beginnings of prompts a runner has already processed: blocks of text, the least recently used go first. */

/** Characters that count as one token. */
const CHARS_PER_TOKEN = 4;

/** Tokens of a text, as the simulation counts them; at least one. */
export function tokensOf(text: string): number {
  return Math.max(1, Math.ceil(text.length / CHARS_PER_TOKEN));
}

/** The cache of one runner. It is dropped with the runner. */
export class PrefixCache {
  readonly #blockTokens: number;
  readonly #most: number;
  /** Hashes of a block and all before it, the least recently used first. */
  readonly #blocks = new Set<number>();

  constructor(blockTokens: number, most: number) {
    this.#blockTokens = blockTokens;
    this.#most = most;
  }

  /** Cached tokens at the start of a prompt. Its blocks are cached from now on, as the latest used. */
  enter(text: string): number {
    const width = this.#blockTokens * CHARS_PER_TOKEN;
    const hashes: number[] = [];
    let hash = 0x811c9dc5;
    for (let at = 0; at + width <= text.length; at += width) {
      hash = hashOf(text, at, at + width, hash);
      hashes.push(hash);
    }
    const unknown = hashes.findIndex((its) => !this.#blocks.has(its));
    // The end of a prompt goes before its beginning, without which it is of no use.
    for (const its of hashes.toReversed()) this.#touch(its);
    return (unknown < 0 ? hashes.length : unknown) * this.#blockTokens;
  }

  #touch(hash: number): void {
    this.#blocks.delete(hash);
    this.#blocks.add(hash);
    if (this.#blocks.size <= this.#most) return;
    for (const oldest of this.#blocks) {
      this.#blocks.delete(oldest);
      return;
    }
  }
}

/** FNV-1a over the characters of a block, begun with the hash of all before it. */
function hashOf(text: string, from: number, to: number, begin: number): number {
  let hash = begin;
  for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
