import { describe, expect, it } from "vitest";
import { logHalfRanges, logTanhSlope, squash, squashCorrection } from "../../core/algo/tanh-gaussian.js";

describe("the tanh squashing", () => {
  it("has the logarithm of its slope, near 0 and where the slope itself is zero in float64", () => {
    for (const u of [-3, -0.7, 0, 0.2, 2.5]) {
      expect(logTanhSlope(u)).toBeCloseTo(Math.log(1 - Math.tanh(u) ** 2), 10);
    }
    // 1 − tanh² u = 4e^{−2|u|}/(1 + e^{−2|u|})², and the denominator is 1 far out.
    for (const u of [-800, -50, 50, 800]) {
      expect(logTanhSlope(u)).toBeCloseTo(Math.log(4) - 2 * Math.abs(u), 10);
    }
  });

  it("reaches its bounds and maps 0 to the middle", () => {
    expect(squash(0, -1, 3)).toBe(1);
    expect(squash(100, -1, 3)).toBe(3);
    expect(squash(-100, -1, 3)).toBe(-1);
  });

  it("corrects a log-density by the slopes and half ranges of all dimensions from an offset on", () => {
    const u = Float64Array.of(9, 0.3, -1.2);
    const [lows, highs] = [
      [-1, 0],
      [3, 0.5],
    ];
    const slope = (x: number, low: number, high: number, h = 1e-6): number =>
      (squash(x + h, low, high) - squash(x - h, low, high)) / (2 * h);
    const expected = Math.log(slope(0.3, -1, 3)) + Math.log(slope(-1.2, 0, 0.5));
    expect(squashCorrection(u, 1, 2, logHalfRanges(lows, highs))).toBeCloseTo(expected, 8);
  });

  it("refuses a span outside its array", () => {
    expect(() => squashCorrection(new Float64Array(2), 1, 2, 0)).toThrow(/squashCorrection/);
  });
});
