/**
 * Finds where the JSON object ends that a text in pieces begins with. Every character is looked at once, however small
 * the pieces: to look for the end in the whole text after each of them takes the square of its length.
 */
export class ObjectEnd {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #state: "before" | "inside" | "closed" | "beyond" = "before";

  /** True when brackets and strings are closed and only blanks have followed; what is inside may still be no JSON. */
  get closed(): boolean {
    return this.#state === "closed";
  }

  add(piece: string): void {
    for (let at = 0; at < piece.length; at += 1) {
      if (this.#state === "beyond") return;
      if (this.#inString) this.#string(piece.charAt(at));
      else this.#next(piece.charAt(at));
    }
  }

  #string(char: string): void {
    if (this.#escaped) this.#escaped = false;
    else if (char === "\\") this.#escaped = true;
    else if (char === '"') this.#inString = false;
  }

  #next(char: string): void {
    if (char === " " || char === "\n" || char === "\r" || char === "\t") return;
    const opens = char === "{" || char === "[";
    if (this.#state === "closed" || (this.#state === "before" && char !== "{")) {
      this.#state = "beyond";
    } else if (opens) {
      this.#state = "inside";
      this.#depth += 1;
    } else if (char === "}" || char === "]") {
      this.#depth -= 1;
      if (this.#depth === 0) this.#state = "closed";
    } else if (char === '"') {
      this.#inString = true;
    }
  }
}
