/** Width of text on a terminal, in cells, by Unicode's East Asian Width (UAX #11). */

/** Marks that combine with the letter before them. */
const NO_CELL = /[\p{Mn}\p{Me}]/u;

const TWO_CELLS = /\p{Emoji_Presentation}/u;

/** Ranges of wide code points: Hangul, CJK, kana, full-width forms, pictures. */
const WIDE: readonly (readonly [first: number, last: number])[] = [
  [0x11_00, 0x11_5f],
  [0x2e_80, 0x30_3e],
  [0x30_41, 0xa4_cf],
  [0xa9_60, 0xa9_7f],
  [0xac_00, 0xd7_a3],
  [0xf9_00, 0xfa_ff],
  [0xfe_30, 0xfe_6f],
  [0xff_00, 0xff_60],
  [0xff_e0, 0xff_e6],
  [0x1_f3_00, 0x1_f6_4f],
  [0x1_f9_00, 0x1_f9_ff],
  [0x2_00_00, 0x3_ff_fd],
];

const FIRST_WIDE = 0x11_00;

function widthOf(character: string): number {
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x3_00) return 1;
  if (NO_CELL.test(character)) return 0;
  if (point < FIRST_WIDE) return 1;
  const isWide = TWO_CELLS.test(character) || WIDE.some(([first, last]) => point >= first && point <= last);
  return isWide ? 2 : 1;
}

/** The number of cells of a line of text. */
export function cellWidth(text: string): number {
  let cells = 0;
  for (const character of text) cells += widthOf(character);
  return cells;
}

/** The beginning of a line of text that fits into this many cells. No character is cut in two. */
export function cutCells(text: string, cells: number): string {
  let left = cells;
  let end = 0;
  for (const character of text) {
    left -= widthOf(character);
    if (left < 0) break;
    end += character.length;
  }
  return text.slice(0, end);
}
