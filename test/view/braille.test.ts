import { describe, expect, it } from "vitest";
import { brailleChart } from "../../cli/view/braille.js";
import type { CurvePoint } from "../../cli/view/state.js";

/** Unicode numbers the eight dots down the left column, then the right, with the bottom two last. */
const BIT_OF = [
  [0, 3],
  [1, 4],
  [2, 5],
  [6, 7],
] as const;

/** Rows of the dots set in each column of dots, from the top. */
function dots(chart: readonly string[]): number[][] {
  const columns: number[][] = Array.from({ length: [...chart[0]!].length * 2 }, () => []);
  chart.forEach((line, cellRow) =>
    [...line].forEach((cell, cellColumn) => {
      const bits = cell.codePointAt(0)! - 0x2800;
      for (let row = 0; row < 4; row++) {
        for (const side of [0, 1] as const) {
          if ((bits >> BIT_OF[row]![side]) & 1) columns[cellColumn * 2 + side]!.push(cellRow * 4 + row);
        }
      }
    }),
  );
  return columns;
}

const points = (values: readonly number[]): CurvePoint[] =>
  values.map((meanReturn100, i) => ({ envSteps: i, meanReturn100 }));
const window = (xHigh: number) => ({ xLow: 0, xHigh, yLow: 0, yHigh: 1 });

describe("brailleChart", () => {
  it("draws a rising line as a diagonal from bottom left to top right", () => {
    // 16 columns and 16 rows of dots, 16 points: one dot each.
    const chart = brailleChart(points(Array.from({ length: 16 }, (_, i) => i / 15)), window(15), 8, 4);
    expect(dots(chart)).toEqual(Array.from({ length: 16 }, (_, i) => [15 - i]));
  });

  it("joins few points without a hole", () => {
    const columns = dots(brailleChart(points([0, 1, 0.2]), window(2), 20, 6));
    expect(columns[0]).toContain(23);
    expect(columns.every((column) => column.length > 0)).toBe(true);
    for (let i = 1; i < columns.length; i++) {
      const distance = Math.min(...columns[i]!.flatMap((a) => columns[i - 1]!.map((b) => Math.abs(a - b))));
      expect(distance).toBeLessThanOrEqual(1);
    }
    expect(columns.flat()).toContain(0);
  });

  it("draws the mean where several points share a column", () => {
    const columns = dots(
      brailleChart(points(Array.from({ length: 4000 }, (_, i) => i % 2)), window(3999), 4, 4),
    );
    // The mean is 0.5: half way between rows 0 and 15, so row 7 or 8.
    for (const row of columns.flat()) expect([7, 8]).toContain(row);
  });

  it("has the size asked for, also with one point or none", () => {
    for (const values of [[], [0.5]]) {
      const chart = brailleChart(points(values), window(0), 10, 3);
      expect(chart.map((line) => [...line].length)).toEqual([10, 10, 10]);
      expect(dots(chart).flat()).toHaveLength(values.length);
    }
  });

  it("starts where the data start", () => {
    const late = points(Array.from({ length: 16 }, (_, i) => i / 15)).slice(8);
    const columns = dots(brailleChart(late, window(15), 8, 4));
    expect(columns.slice(0, 8).flat()).toEqual([]);
    expect(columns.slice(8).every((column) => column.length > 0)).toBe(true);
  });
});
