import { greatest } from "../core/long-lists.ts";
import { escapedLine } from "../core/escaped-text.ts";
import { cellWidth } from "./cell-width.ts";

type Cell = string | number;

/** A titled table of aligned columns: numbers right, text left. */
export function renderTable(
  title: string,
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
): string {
  if (rows.length === 0) return `${title}: none\n`;
  const plain = rows.map((row) => row.map((cell) => (typeof cell === "number" ? cell : escapedLine(cell))));
  const widths = head.map((name, column) =>
    Math.max(cellWidth(name), greatest(plain.map((row) => cellWidth(String(row[column] ?? ""))))),
  );
  const line = (cells: readonly Cell[]): string =>
    `  ${cells.map((cell, column) => pad(cell, widths[column] ?? 0)).join("  ")}`.trimEnd();
  return `${[title, line(head), ...plain.map((row) => line(row))].join("\n")}\n`;
}

function pad(cell: Cell, width: number): string {
  if (typeof cell === "number") return String(cell).padStart(width);
  return cell + " ".repeat(Math.max(0, width - cellWidth(cell)));
}
