import { StringDecoder } from "node:string_decoder";
import { plainText } from "../core/plain-text.ts";

/**
 * The one way to the screen. Commands print names and messages from announcements, dead letters, backends and
 * clients: none of them may steer the terminal.
 */

/** Prints a text to standard output. */
export function print(text: string): void {
  process.stdout.write(plainText(text));
}

/** Prints a text to standard error. */
export function printError(text: string): void {
  process.stderr.write(plainText(text));
}

/** Prints a value as a JSON document. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** Where bytes are printed to, as far as they need one. */
export interface Outlet {
  readonly isTTY?: boolean;
  write(bytes: string | Buffer): unknown;
}

/** Prints bytes of an answer or of a prompt: as they are into a file or a pipe, as plain text on a terminal. */
export class BytePrinter {
  readonly #outlet: Outlet;
  readonly #decoder = new StringDecoder("utf8");

  constructor(outlet: Outlet = process.stdout) {
    this.#outlet = outlet;
  }

  print(bytes: Buffer): void {
    this.#outlet.write(this.#outlet.isTTY === true ? plainText(this.#decoder.write(bytes)) : bytes);
  }
}
