/** A line chart in braille characters: 2 × 4 dots a character. */
import type { CurvePoint } from "./state.js";

/** What is drawn and on which scale: dots run from xLow to xHigh and, upwards, from yLow to yHigh. */
export interface Window {
  readonly xLow: number;
  readonly xHigh: number;
  readonly yLow: number;
  readonly yHigh: number;
}

const BLANK = 0x2800;
/** Bit of the dot at [column 0–1][row 0–3] of a character. */
const BITS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/** Row of dots, from the top, in which `y` falls. */
export function dotRow(y: number, window: Window, rows: number): number {
  const share = (window.yHigh - y) / (window.yHigh - window.yLow);
  return Math.min(rows - 1, Math.max(0, Math.round(share * (rows - 1))));
}

/** Mean of the points in each column of dots; NaN where there is none. */
function columnMeans(points: readonly CurvePoint[], window: Window, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  const counts = new Uint32Array(columns);
  const span = window.xHigh - window.xLow;
  for (const { envSteps, meanReturn100 } of points) {
    const share = span > 0 ? (envSteps - window.xLow) / span : 0;
    const column = Math.min(columns - 1, Math.max(0, Math.round(share * (columns - 1))));
    sums[column]! += meanReturn100;
    counts[column]! += 1;
  }
  return sums.map((sum, i) => sum / counts[i]!);
}

/** `height` strings of `width` braille characters, top first; U+2800 is an empty one. */
export function brailleChart(
  points: readonly CurvePoint[],
  window: Window,
  width: number,
  height: number,
): string[] {
  const columns = width * 2;
  const rows = height * 4;
  const cells = Array.from({ length: height }, () => new Uint8Array(width));
  const set = (column: number, row: number): void => {
    cells[row >> 2]![column >> 1]! |= BITS[column % 2 === 0 ? 0 : 1][row % 4]!;
  };

  let previous: { column: number; y: number; row: number } | null = null;
  columnMeans(points, window, columns).forEach((y, column) => {
    if (Number.isNaN(y)) return;
    const from = previous ?? { column: column - 1, y, row: dotRow(y, window, rows) };
    // Straight to here from the last column that had points, with no hole between two columns.
    let lastRow = from.row;
    for (let c = from.column + 1; c <= column; c++) {
      const share = (c - from.column) / (column - from.column);
      const row = dotRow(from.y + share * (y - from.y), window, rows);
      const step = Math.sign(row - lastRow);
      for (let r = step === 0 ? row : lastRow + step; r !== row; r += step) set(c, r);
      set(c, row);
      lastRow = row;
    }
    previous = { column, y, row: lastRow };
  });
  return cells.map((line) => String.fromCodePoint(...Array.from(line, (bits) => BLANK + bits)));
}
