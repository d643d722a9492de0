import { StringDecoder } from "node:string_decoder";
import { escapedText } from "../core/escaped-text.ts";

/**
 * Prints text. Commands print names and messages from announcements, dead letters, backends and clients, so control
 * sequences for the terminal are removed.
 */

/** Prints a text to standard output. */
export function print(text: string): void {
  process.stdout.write(escapedText(text));
}

/** Prints a text to standard error. */
export function printError(text: string): void {
  process.stderr.write(escapedText(text));
}

/** Prints a value as a JSON document. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** The parts of an output stream that are used. */
export interface ByteOutput {
  readonly isTTY?: boolean;
  write(bytes: string | Buffer): unknown;
}

/** Prints bytes of an answer or a prompt: unchanged into a file or pipe, as plain text on a terminal. */
export class BytePrinter {
  readonly #output: ByteOutput;
  readonly #decoder = new StringDecoder("utf8");

  constructor(outlet: ByteOutput = process.stdout) {
    this.#output = outlet;
  }

  print(bytes: Buffer): void {
    this.#output.write(this.#output.isTTY === true ? escapedText(this.#decoder.write(bytes)) : bytes);
  }
}
