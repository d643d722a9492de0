import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { findProgram, processEnvironment } from "../../src/config/environment.ts";
import { atExit } from "../rig/at-exit.ts";

/** `sgnet` on a real terminal, of which script(1) of util-linux makes one. */

const CLI = join(import.meta.dirname, "../../src/cli.ts");
const ESCAPE = "\u001B[";
const HOME_SEQUENCE = `${ESCAPE}H`;

export interface Shown {
  readonly columns: number;
  readonly rows: number;
  /** Asked of all that was drawn, at each change: true presses q. */
  readonly isEnough: (drawn: string) => boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** Why there is no terminal to test with; false where there is one. */
export const NO_TERMINAL: string | false =
  process.platform === "linux" && findProgram(["script"]) !== undefined
    ? false
    : "no script(1) of util-linux here, which makes the terminal for this test";

/** Runs a command that draws on the whole screen. Gives what it drew last, with its colours. */
export async function watchCommand(command: string, shown: Shown): Promise<string> {
  const { columns, rows, isEnough, env } = shown;
  const line = `stty cols ${columns} rows ${rows}; exec ${process.execPath} ${CLI} ${command}`;
  const { PATH, HOME } = processEnvironment();
  const child = spawn("script", ["-qfec", line, "/dev/null"], {
    cwd: import.meta.dirname,
    env: { PATH, HOME, TERM: "xterm-256color", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const spare = atExit(() => child.kill("SIGKILL"));
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (isEnough(text) && !child.stdin.writableEnded) child.stdin.end("q");
  });
  await once(child, "close");
  spare();
  const last = text.split(HOME_SEQUENCE).at(-1) ?? "";
  return last.slice(0, last.indexOf(`${ESCAPE}J`));
}

/** Returns drawn text without its escape sequences. */
export function withoutSequences(drawn: string): string {
  const [first = "", ...rest] = drawn.split(ESCAPE);
  return first + rest.map((part) => part.replace(/^[\d?;]*[A-Za-z]/, "")).join("");
}

const STYLES: Readonly<Record<string, string>> = {
  "1": "font-weight:700",
  "2": "color:#8f8fa3",
  "31": "color:#ff8f87",
  "32": "color:#7bd69b",
  "33": "color:#f0c069",
};

/** The screen as a page that looks like a terminal. */
export function screenPage(text: string): string {
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\r", "");
  const [first = "", ...rest] = escaped.split(ESCAPE);
  const painted = first + rest.map((part) => paint(part)).join("");
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; background: #14141a; }
    pre { display: inline-block; margin: 0; padding: 16px 20px; color: #ececf2; font: 13px/1.45 "DejaVu Sans Mono", monospace; }
  </style><pre>${painted}</pre>`;
}

/** @param part text after the first two characters of an escape sequence */
function paint(part: string): string {
  const [sequence = "", code = "", verb] = /^(\d*)([A-Za-z])/.exec(part) ?? [];
  const text = part.slice(sequence.length);
  if (verb !== "m") return text;
  return code === "0" ? `</span>${text}` : `<span style="${STYLES[code] ?? ""}">${text}`;
}
