/**
 * A JSON string behind the key "model". A quote before the colon always ends a key. Each repetition takes stack, so
 * the length has a bound above every name.
 */
const MODEL = /"model"\s*:\s*("(?:[^"\\]|\\.){0,4096}")/;

/**
 * Puts the requested model into replies, because backends send their own id or an alias. It works on bytes, as a
 * string with one character per byte. When the first reply has the right model, nothing changes.
 */
export class ModelRewriter {
  readonly #asked: string;
  readonly #written: string;
  #settled = false;
  #wrong: string | undefined;

  /** @param asked the model as the client wrote it */
  constructor(asked: string) {
    this.#asked = asked;
    this.#written = `"model":${Buffer.from(JSON.stringify(asked)).toString("latin1")}`;
  }

  /** True when replies have to be rewritten, or none has had a model so far. */
  get active(): boolean {
    return !this.#settled || this.#wrong !== undefined;
  }

  /** Returns the bytes with the right model: the same Buffer when nothing changes. */
  apply(bytes: Buffer): Buffer {
    if (!this.active) return bytes;
    const text = bytes.toString("latin1");
    if (!this.#settled) this.#settle(text);
    if (this.#wrong === undefined || !text.includes(this.#wrong)) return bytes;
    return Buffer.from(
      text.replaceAll(this.#wrong, () => this.#written),
      "latin1",
    );
  }

  #settle(text: string): void {
    const found = MODEL.exec(text);
    if (found === null) return;
    this.#settled = true;
    const model: unknown = JSON.parse(Buffer.from(found[1] ?? '""', "latin1").toString("utf8"));
    if (model !== this.#asked) this.#wrong = found[0];
  }
}
