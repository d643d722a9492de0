import { escapedLine } from "../core/escaped-text.ts";

export type LogLevel = "error" | "warn" | "info" | "debug";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes log lines. Prompts and secrets never belong in a message or a field. */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  with(fields: LogFields): Log;
}

export interface LogOptions {
  /** The least important level that is written. */
  readonly level: LogLevel;
  /** `auto`: pretty on a terminal, JSON otherwise. */
  readonly format: "auto" | "json" | "pretty";
  /** Takes one line with its newline; absent: standard error. Colours are used on a terminal only. */
  readonly write?: (line: string) => void;
}

interface Line {
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

interface Sink {
  readonly rank: number;
  readonly format: (line: Line) => string;
  readonly write: (line: string) => void;
}

const RANK: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

const COLOURS: Readonly<Record<LogLevel, string>> = {
  error: "\u001B[31m",
  warn: "\u001B[33m",
  info: "\u001B[32m",
  debug: "\u001B[34m",
};
const DIM = "\u001B[2m";
const PLAIN = "\u001B[0m";

/** Opens a log that writes one line per call, as JSON or for people. */
export function openLog(options: LogOptions): Log {
  const terminal = options.write === undefined && process.stderr.isTTY;
  const pretty = options.format === "pretty" || (options.format === "auto" && terminal);
  const colours = terminal && process.stderr.hasColors();
  const sink: Sink = {
    rank: RANK[options.level],
    format: pretty ? (line) => prettyLine(line, colours) : jsonLine,
    write: options.write ?? writeToStandardError,
  };
  return logTo(sink, {});
}

function writeToStandardError(line: string): void {
  process.stderr.write(line);
}

function logTo(sink: Sink, bound: LogFields): Log {
  const at = (level: LogLevel) => {
    if (RANK[level] > sink.rank) return () => {};
    return (message: string, fields?: LogFields): void => {
      const all = fields === undefined ? bound : { ...bound, ...fields };
      sink.write(`${sink.format({ time: new Date(), level, message, fields: all })}\n`);
    };
  };
  return {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    with: (fields) => logTo(sink, { ...bound, ...fields }),
  };
}

/** Fields cannot replace the line's own `time`, `level` and `message`. */
function jsonLine({ time, level, message, fields }: Line): string {
  const own = { time: time.toISOString(), level, message };
  // Logs are read on terminals, and JSON does not escape C1 controls, DEL and direction marks.
  return escapedLine(JSON.stringify({ ...own, ...fields, ...own }));
}

function prettyLine({ time, level, message, fields }: Line, colours: boolean): string {
  const paint = (colour: string, text: string): string => (colours ? colour + text + PLAIN : text);
  const clock = paint(DIM, time.toISOString().slice(11, 23));
  const name = paint(COLOURS[level], level.padEnd(5));
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${paint(DIM, `${key}=`)}${typeof value === "string" ? bare(value) : value}`);
  return `${clock} ${name} ${escapedLine(message)}${pairs.join("")}`;
}

function bare(value: string): string {
  return /^[^\s"=\p{Cc}\p{Cf}\p{Cs}]+$/u.test(value) ? value : escapedLine(JSON.stringify(value));
}
