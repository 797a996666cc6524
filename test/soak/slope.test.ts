import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { slopeOf, type Sample } from "./slope.js";

function noisy(seed: number, perSecond: number, samples: number): Sample[] {
  const random = new Random(seed);
  return Array.from({ length: samples }, (_, at) => ({ at, value: 100 + perSecond * at + random.normal() }));
}

describe("slopeOf", () => {
  it("is exact on a line", () => {
    const line = Array.from({ length: 400 }, (_, at) => ({ at: 2 * at, value: 7 - 3 * at }));
    const { slope, low, high } = slopeOf(line)!;
    expect(slope).toBeCloseTo(-1.5, 12);
    expect(high - low).toBeCloseTo(0, 9);
  });

  it("has the true slope in its interval in about 95 of 100 draws", () => {
    const within = Array.from({ length: 400 }, (_, seed) => slopeOf(noisy(seed, 0.01, 200))!).filter(
      ({ low, high }) => low <= 0.01 && 0.01 <= high,
    ).length;
    expect(within / 400).toBeGreaterThan(0.91);
    expect(within / 400).toBeLessThan(0.98);
  });

  it("says nothing of too few samples", () => {
    expect(slopeOf(noisy(1, 0, 39))).toBeNull();
  });
});
