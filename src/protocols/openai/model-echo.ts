/**
 * A JSON string after the key "model". Inside a JSON text the key's closing quote cannot be a string's own. Each turn
 * of the loop takes stack, and no name is as long as the bound.
 */
const MODEL = /"model"\s*:\s*("(?:[^"\\]|\\.){0,4096}")/;

/**
 * Makes replies say the model the client asked for: backends answer with an id or an alias of their own. Works
 * on bytes, as a string of one character per byte, and changes nothing when the first reply is right.
 */
export class ModelEcho {
  readonly #asked: string;
  readonly #written: string;
  #settled = false;
  #wrong: string | undefined;

  /** @param asked the model as the client wrote it */
  constructor(asked: string) {
    this.#asked = asked;
    this.#written = `"model":${Buffer.from(JSON.stringify(asked)).toString("latin1")}`;
  }

  /** True when replies have to be rewritten, or none has told its model yet. */
  get active(): boolean {
    return !this.#settled || this.#wrong !== undefined;
  }

  /** The bytes with the model put right: the same Buffer when nothing has to change. */
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
    const told: unknown = JSON.parse(Buffer.from(found[1] ?? '""', "latin1").toString("utf8"));
    if (told !== this.#asked) this.#wrong = found[0];
  }
}
