import type { ReadStream, WriteStream } from "node:tty";
import { escapedLine } from "../core/escaped-text.ts";
import { cutCells } from "./cell-width.ts";
import type { Tone, ToneLine } from "./top-view.ts";

/** Escape sequences of ECMA-48, and of xterm for the alternate screen. */
const ESCAPE = "\u001B[";
/** Starts the alternate screen. A line that is too wide is cut, so that it does not push others down. */
const ENTER = `${ESCAPE}?1049h${ESCAPE}?25l${ESCAPE}?7l`;
const LEAVE = `${ESCAPE}?7h${ESCAPE}?25h${ESCAPE}?1049l`;
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

const EMPTY: ToneLine = { tone: "plain", text: "" };

const CTRL_C = "\u0003";

/** Size of a terminal that reports none, or 0. */
const USUAL_ROWS = 24;
const USUAL_COLUMNS = 80;

/** The parts of a terminal that are used. */
export interface Terminal {
  readonly output: Pick<WriteStream, "write" | "columns" | "rows" | "hasColors" | "on" | "off">;
  readonly input: Pick<ReadStream, "setRawMode" | "resume" | "pause" | "on" | "off" | "isTTY">;
}

/** Draws on the whole terminal. Its former content comes back at the end. */
export class Screen {
  readonly #terminal: Terminal;
  readonly #onKey: (data: Buffer) => void;
  readonly #onResize: () => void;
  #lines: readonly ToneLine[] = [];
  #footer: string | undefined;

  /** @param onQuit called when q or Ctrl-C was pressed */
  constructor(terminal: Terminal, onQuit: () => void) {
    this.#terminal = terminal;
    this.#onKey = (data) => {
      const keys = data.toString();
      if (keys.includes("q") || keys.includes(CTRL_C)) onQuit();
    };
    this.#onResize = () => {
      this.draw(this.#lines, this.#footer);
    };
    const { input, output } = terminal;
    if (input.isTTY) input.setRawMode(true);
    input.on("data", this.#onKey);
    input.resume();
    output.on("resize", this.#onResize);
    output.write(ENTER);
  }

  /** Replaces the shown lines; excess lines are cut off. @param footer last line, which is always visible */
  draw(lines: readonly ToneLine[], footer?: string): void {
    this.#lines = lines;
    this.#footer = footer;
    const { output } = this.#terminal;
    const text = this.#fit(output.rows || USUAL_ROWS).map((line) => `${this.#paint(line)}${REST_OF_LINE}`);
    output.write(`${HOME}${text.join("\n")}${REST_OF_SCREEN}`);
  }

  /** The lines that fit. No line end follows the last row: it would scroll the first one away. */
  #fit(rows: number): readonly ToneLine[] {
    const [lines, footer] = [this.#lines, this.#footer];
    if (rows < 2) return lines.slice(0, 1);
    const shown = lines.slice(0, rows - 1);
    const hidden = lines.length - shown.length;
    if (footer === undefined) return [...shown, EMPTY];
    const more =
      hidden === 0 ? "" : `, ${hidden} more line${hidden === 1 ? "" : "s"}: make the window taller`;
    return [...shown, { tone: "quiet", text: `${footer}${more}` }];
  }

  close(): void {
    const { input, output } = this.#terminal;
    output.write(LEAVE);
    output.off("resize", this.#onResize);
    input.off("data", this.#onKey);
    if (input.isTTY) input.setRawMode(false);
    input.pause();
  }

  /** The line with its colour. Node applies NO_COLOR itself. */
  #paint({ text, tone }: ToneLine): string {
    const { output } = this.#terminal;
    const cut = cutCells(escapedLine(text), output.columns || USUAL_COLUMNS);
    const colour = output.hasColors() ? COLOURS[tone] : "";
    return colour === "" ? cut : `${colour}${cut}${PLAIN}`;
  }
}
