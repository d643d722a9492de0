import type { ReadStream, WriteStream } from "node:tty";
import { plainLine } from "../core/plain-text.ts";
import { cutCells } from "./cell-width.ts";
import type { Tone, ToneLine } from "./top-view.ts";

/** Escape sequences of ECMA-48, and of xterm for the alternate screen. */
const ESCAPE = "\u001B[";
/** A line that is wider than was counted is cut by the terminal, and does not push the others down. */
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

/** Size of a terminal that does not tell its own, or tells 0. */
const USUAL_ROWS = 24;
const USUAL_COLUMNS = 80;

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

  /** Replaces what is shown; what does not fit is cut off. @param footer the last line, which is always to be seen */
  draw(lines: readonly ToneLine[], footer?: string): void {
    this.#lines = lines;
    this.#footer = footer;
    const { output } = this.#terminal;
    const text = this.#fit(output.rows || USUAL_ROWS).map((line) => `${this.#paint(line)}${REST_OF_LINE}`);
    output.write(`${HOME}${text.join("\n")}${REST_OF_SCREEN}`);
  }

  /** No line end follows the last row: it would push the first one out. */
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

  /** Node itself heeds NO_COLOR when it is asked for colours. */
  #paint({ text, tone }: ToneLine): string {
    const { output } = this.#terminal;
    const cut = cutCells(plainLine(text), output.columns || USUAL_COLUMNS);
    const colour = output.hasColors() ? COLOURS[tone] : "";
    return colour === "" ? cut : `${colour}${cut}${PLAIN}`;
  }
}
