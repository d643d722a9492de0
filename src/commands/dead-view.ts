import { plainLine } from "../core/plain-text.ts";
import type { LetterFacts } from "../redis/letter-facts.ts";
import { duration } from "./duration.ts";
import { triesOf } from "./story.ts";
import { renderTable } from "./table.ts";

/** @param about.left how many more there are */
export function renderLetters(
  letters: readonly LetterFacts[],
  { now, left }: { readonly now: number; readonly left: number },
): string {
  const head = ["id", "given up", "model", "endpoint", "reason", "deliveries", "last worker", "request"];
  const rows = letters.map((it) => [
    it.id,
    `${duration(Math.max(0, now - it.at))} ago`,
    it.model,
    it.endpoint ?? "not a task",
    it.code,
    it.deliveries,
    it.worker,
    it.request ?? "-",
  ]);
  const more = left > 0 ? `  and ${left} older ones: --json lists all\n` : "";
  return renderTable("Dead letters", head, rows) + more;
}

/** The facts, and what follows them if it is wanted and kept: the body as it came, which may be no text. */
export function letterBytes(letter: LetterFacts, body: Buffer | undefined): Buffer {
  const facts = Buffer.from(renderLetter(letter));
  return body === undefined ? facts : Buffer.concat([facts, NEW_LINE, body, NEW_LINE]);
}

const NEW_LINE = Buffer.from("\n");

export function renderLetter(letter: LetterFacts): string {
  const lines: (readonly [string, string])[] = [
    ["model", letter.model],
    ["reason", `${letter.code}: ${letter.message}`],
    ["deliveries", String(letter.deliveries)],
    ["last worker", letter.worker],
    ...(letter.cause === undefined ? [] : [["cause", letter.cause] as const]),
    ...triesOf(letter.attempts),
    ["given up", new Date(letter.at).toISOString()],
  ];
  if (letter.task !== undefined) {
    lines.push(
      ["request", letter.request ?? ""],
      ["task", letter.task],
      ["endpoint", `${letter.endpoint}${letter.stream === true ? ", as a stream" : ""}`],
      ["accepted", new Date(letter.acceptedAt ?? 0).toISOString()],
      ["body", letter.bodyBytes === undefined ? "no longer kept" : `${letter.bodyBytes} bytes`],
    );
  }
  const facts = lines.map(([name, value]) => `  ${name.padEnd(12)} ${plainLine(value)}`);
  return `${[`Dead letter ${plainLine(letter.id)}`, ...facts].join("\n")}\n`;
}
