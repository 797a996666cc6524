import { describe, expect, it } from "vitest";
import { niceStep, tickLabels, ticksCovering, ticksWithin } from "../../core/telemetry/ticks.js";

const ranges: readonly (readonly [low: number, high: number])[] = [
  [0, 500],
  [21.3, 497.7],
  [-1600, -120],
  [0.2, 0.74],
  [-1e-4, 3e-4],
  [0, 2e9],
  [7, 7],
  [0, 0],
];

describe("ticks", () => {
  it.each(ranges)("cover %d … %d evenly and tightly", (low, high) => {
    const ticks = ticksCovering(low, high, 5);
    const step = ticks[1]! - ticks[0]!;
    expect(ticks.length).toBeGreaterThanOrEqual(2);
    expect(ticks.length).toBeLessThanOrEqual(8);
    expect(ticks[0]!).toBeLessThanOrEqual(low);
    expect(ticks[ticks.length - 1]!).toBeGreaterThanOrEqual(high);
    for (let i = 1; i < ticks.length; i++) expect(ticks[i]! - ticks[i - 1]!).toBeCloseTo(step, 10);
    if (high > low) {
      expect(low - ticks[0]!).toBeLessThan(step);
      expect(ticks[ticks.length - 1]! - high).toBeLessThan(step);
    }
  });

  it.each(ranges)("lie within %d … %d where asked to", (low, high) => {
    if (low === high) return;
    for (const tick of ticksWithin(low, high, 6)) {
      expect(tick).toBeGreaterThanOrEqual(low);
      expect(tick).toBeLessThanOrEqual(high);
    }
  });

  it("step by 1, 2, 2.5 or 5 times a power of ten", () => {
    expect([0.9, 1.7, 2.2, 4, 7, 63].map((span) => niceStep(span, 1))).toEqual([1, 2, 2.5, 5, 10, 100]);
  });

  it("are labelled in one scale, without noise of floating point", () => {
    expect(tickLabels([0, 50_000, 100_000])).toEqual(["0", "50k", "100k"]);
    expect(tickLabels([0, 500_000, 1_000_000])).toEqual(["0", "0.5M", "1M"]);
    expect(tickLabels([-0.25, 0, 0.25])).toEqual(["−0.25", "0", "0.25"]);
    expect(tickLabels(ticksCovering(0.1, 0.3, 2))).toEqual(["0.1", "0.2", "0.3"]);
    expect(tickLabels([2e9])).toEqual(["2B"]);
  });
});
