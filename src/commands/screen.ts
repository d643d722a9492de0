import type { ReadStream, WriteStream } from "node:tty";
import { plainLine } from "../core/plain-text.ts";
import type { Tone, ToneLine } from "./top-view.ts";

/** Escape sequences of ECMA-48, and of xterm for the alternate screen. */
const ESCAPE = "\u001B[";
const ENTER = `${ESCAPE}?1049h${ESCAPE}?25l`;
const LEAVE = `${ESCAPE}?25h${ESCAPE}?1049l`;
const HOME = `${ESCAPE}H`;
const REST_OF_LINE = `${ESCAPE}K`;
const REST_OF_SCREEN = `${ESCAPE}J`;
const PLAIN = `${ESCAPE}0m`;

const COLOURS: Readonly<Record<Tone, string>> = {
  plain: "",
  title: `${ESCAPE}1m`,
  quiet: `${ESCAPE}2m`,
  good: `${ESCAPE}32m`,
  warn: `${ESCAPE}33m`,
  bad: `${ESCAPE}31m`,
};

const CTRL_C = "\u0003";

/** The parts of a terminal that are used. */
export interface Terminal {
  readonly output: Pick<WriteStream, "write" | "columns" | "rows" | "hasColors" | "on" | "off">;
  readonly input: Pick<ReadStream, "setRawMode" | "resume" | "pause" | "on" | "off" | "isTTY">;
}

/** A terminal that is drawn on as a whole. What was there before comes back at the end. */
export class Screen {
  readonly #terminal: Terminal;
  readonly #onKey: (data: Buffer) => void;
  readonly #onResize: () => void;
  #lines: readonly ToneLine[] = [];

  /** @param onQuit called when q or Ctrl-C was pressed */
  constructor(terminal: Terminal, onQuit: () => void) {
    this.#terminal = terminal;
    this.#onKey = (data) => {
      const keys = data.toString();
      if (keys.includes("q") || keys.includes(CTRL_C)) onQuit();
    };
    this.#onResize = () => {
      this.draw(this.#lines);
    };
    const { input, output } = terminal;
    if (input.isTTY) input.setRawMode(true);
    input.on("data", this.#onKey);
    input.resume();
    output.on("resize", this.#onResize);
    output.write(ENTER);
  }

  /** Replaces what is shown; what does not fit is cut off. */
  draw(lines: readonly ToneLine[]): void {
    this.#lines = lines;
    const { output } = this.#terminal;
    const fitting = lines.slice(0, Math.max(1, output.rows - 1));
    const text = fitting.map((line) => `${this.#paint(line)}${REST_OF_LINE}\n`).join("");
    output.write(`${HOME}${text}${REST_OF_SCREEN}`);
  }

  close(): void {
    const { input, output } = this.#terminal;
    output.write(LEAVE);
    output.off("resize", this.#onResize);
    input.off("data", this.#onKey);
    if (input.isTTY) input.setRawMode(false);
    input.pause();
  }

  /** Node itself heeds NO_COLOR when it is asked for colours. */
  #paint({ text, tone }: ToneLine): string {
    const { output } = this.#terminal;
    const cut = plainLine(text).slice(0, output.columns);
    const colour = output.hasColors() ? COLOURS[tone] : "";
    return colour === "" ? cut : `${colour}${cut}${PLAIN}`;
  }
}
