import { isoTime } from "../core/iso-time.ts";
import { keyText } from "../core/access/key-names.ts";
import { append } from "../core/long-lists.ts";
import { escapedLine } from "../core/escaped-text.ts";
import type { LetterFacts } from "../redis/letter-facts.ts";
import { duration } from "./duration.ts";
import { attemptLines, keyLines } from "./timeline.ts";
import { renderTable } from "./table.ts";

/** A table of dead letters. @param about.left number of older letters that are not shown */
export function renderLetters(
  letters: readonly LetterFacts[],
  { now, left }: { readonly now: number; readonly left: number },
): string {
  const head = ["id", "given up", "model", "endpoint", "reason", "deliveries", "last worker", "request"];
  const hasNames = letters.some(({ keyName }) => keyName !== undefined);
  const rows = letters.map((it) => [
    it.id,
    `${duration(Math.max(0, now - it.at))} ago`,
    it.model,
    it.endpoint ?? "not a task",
    it.code,
    it.deliveries,
    it.worker,
    it.request ?? "-",
    ...(hasNames ? [keyText(it) ?? "-"] : []),
  ]);
  const more = left > 0 ? `  and ${left} older ones: --json lists all\n` : "";
  return renderTable("Dead letters", hasNames ? [...head, "key"] : head, rows) + more;
}

/** The facts of a letter, followed by its body if it is wanted and kept. The body may be binary. */
export function letterBytes(letter: LetterFacts, body: Buffer | undefined): Buffer {
  const facts = Buffer.from(renderLetter(letter));
  return body === undefined ? facts : Buffer.concat([facts, NEW_LINE, body, NEW_LINE]);
}

const NEW_LINE = Buffer.from("\n");

/** The facts of a letter as lines. */
export function renderLetter(letter: LetterFacts): string {
  const lines: (readonly [string, string])[] = [
    ["model", letter.model],
    ["reason", `${letter.code}: ${letter.message}`],
    ["deliveries", String(letter.deliveries)],
    ["last worker", letter.worker],
    ...(letter.cause === undefined ? [] : [["cause", letter.cause] as const]),
    ...attemptLines(letter.attempts),
    ["given up", isoTime(letter.at)],
  ];
  append(lines, keyLines(letter));
  if (letter.task !== undefined) {
    lines.push(
      ["request", letter.request ?? ""],
      ["task", letter.task],
      ["endpoint", `${letter.endpoint}${letter.stream === true ? ", as a stream" : ""}`],
      ["accepted", isoTime(letter.acceptedAt ?? 0)],
      ["body", letter.bodyBytes === undefined ? "no longer kept" : `${letter.bodyBytes} bytes`],
    );
  }
  const facts = lines.map(([name, value]) => `  ${name.padEnd(12)} ${escapedLine(value)}`);
  return `${[`Dead letter ${escapedLine(letter.id)}`, ...facts].join("\n")}\n`;
}
