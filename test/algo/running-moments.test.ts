import { describe, expect, it } from "vitest";
import type { RunningMoments } from "../../core/algo/running-moments.js";
import { initialMoments, observe, std } from "../../core/algo/running-moments.js";
import { Random } from "../../core/random.js";
import { PRINTED, expectClose, expectNear, f, normals } from "./fixture.js";

describe("running moments", () => {
  it("give PPO-max's two batches of scores", () => {
    const first = observe(initialMoments, f(2, -1, 0.5, 3));
    expectNear(std(first), 1.75, PRINTED);
    expectClose(
      f(2, -1, 0.5, 3).map((x) => x / std(first)),
      [1.142857, -0.571429, 0.285714, 1.714286],
      PRINTED,
    );
    const second = observe(first, f(0, 1, 4, -2));
    expectNear(second.mean, 0.9375);
    expectNear(std(second), 2.007797);
    const limit = (x: number): number => Math.max(-0.8, Math.min(0.8, x));
    const scores = f(0, 1, 4, -2);
    expectClose(
      scores.map((x) => limit(x / std(second))),
      [0, 0.498058, 0.8, -0.8],
      PRINTED,
    );
    const normed = scores.map((x) => limit((x - second.mean) / std(second)));
    expectClose(normed, [-0.46693, 0.031129, 0.8, -0.8], PRINTED);
  });

  it("have the mean and standard deviation of all values seen, however they were split", () => {
    const random = new Random(101);
    const all = normals(random, 200, 3, 40);
    const mean = all.reduce((s, x) => s + x, 0) / 200;
    const deviation = Math.sqrt(all.reduce((s, x) => s + (x - mean) ** 2, 0) / 199);
    for (let split = 0; split < 5; split++) {
      let state: RunningMoments = initialMoments;
      for (let from = 0; from < 200;) {
        const to = Math.min(200, from + 1 + random.integer(30));
        state = observe(state, all.subarray(from, to));
        from = to;
      }
      expectClose([state.mean, std(state), state.count], [mean, deviation, 200], 1e-9);
    }
  });

  it("leave the state they were given as it was, and an empty batch changes nothing", () => {
    const before = observe(initialMoments, f(1, 2, 3));
    const copy = { ...before };
    observe(before, f(10));
    expect(before).toEqual(copy);
    expect(observe(before, f())).toBe(before);
  });

  it("say 1, a scale that changes nothing, until two values were seen", () => {
    expect(std(initialMoments)).toBe(1);
    expect(std(observe(initialMoments, f(5)))).toBe(1);
    expectNear(std(observe(observe(initialMoments, f(5)), f(7))), Math.SQRT2, 1e-12);
  });
});
