import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { EpisodeWindow } from "../../services/learner/episode-window.js";
import { Rate } from "../../services/learner/rate.js";

const row = (...returns: number[]): Float32Array => Float32Array.from(returns);

describe("an episode window", () => {
  it("has no mean before the first episode ends", () => {
    const window = new EpisodeWindow([], 0);
    window.add(row(NaN, NaN));
    window.add(undefined);
    expect(window.meanReturn).toBeNaN();
    expect(window.count).toBe(0);
  });

  it("keeps the mean of the last hundred returns, skipping rows that end no episode", () => {
    const random = new Random(2);
    const window = new EpisodeWindow([], 0);
    const all: number[] = [];
    for (let batch = 0; batch < 60; batch++) {
      const returns = row(
        ...Array.from({ length: 7 }, () => (random.uniform() < 0.5 ? random.normal() : NaN)),
      );
      window.add(returns);
      all.push(...returns.filter((value) => !Number.isNaN(value)));
      const last = all.slice(-100);
      expect(window.returns).toEqual(last);
      expect(window.count).toBe(all.length);
      expect(window.full).toBe(all.length >= 100);
      if (last.length > 0) {
        expect(window.meanReturn).toBeCloseTo(last.reduce((a, b) => a + b, 0) / last.length, 12);
      }
    }
    expect(all.length).toBeGreaterThan(150);
  });

  it("goes on where a checkpoint left it, and does not change the checkpoint's list", () => {
    const resumed = Array.from({ length: 100 }, (_, k) => k);
    const window = new EpisodeWindow(resumed, 250);
    window.add(row(1000));
    expect(window.count).toBe(251);
    expect(window.returns).toEqual([...resumed.slice(1), 1000]);
    expect(resumed).toHaveLength(100);
    expect(resumed[0]).toBe(0);
  });
});

describe("a rate", () => {
  function rateAt(samples: readonly (readonly [at: number, value: number])[]): number {
    let now = 0;
    const rate = new Rate(() => now);
    for (const [at, value] of samples) {
      now = at;
      rate.add(value);
    }
    return rate.perSecond;
  }

  it("is not a number until time has passed between two samples", () => {
    expect(rateAt([])).toBeNaN();
    expect(rateAt([[1, 5]])).toBeNaN();
    expect(
      rateAt([
        [1, 5],
        [1, 9],
      ]),
    ).toBeNaN();
  });

  it("is the growth per second between the first and the last sample", () => {
    expect(
      rateAt([
        [10, 100],
        [11, 100],
        [14, 180],
      ]),
    ).toBe(20);
  });

  it("forgets what is more than five seconds old, but always spans two samples", () => {
    // Slow at first, then 100 a second: the first seconds no longer count.
    const fast = Array.from({ length: 8 }, (_, k) => [100 + k, 1000 + 100 * k] as const);
    expect(rateAt([[0, 0], [50, 1], ...fast])).toBe(100);
    // The oldest sample goes only once the next one spans five seconds by itself.
    expect(
      rateAt([
        [0, 0],
        [4, 10],
        [6, 90],
      ]),
    ).toBe(15);
    expect(
      rateAt([
        [0, 0],
        [100, 50],
      ]),
    ).toBe(0.5);
  });
});
