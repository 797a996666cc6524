/** ares: its two forms of the score against worked numbers, what it counts against slow loops, and what it carries over. */
import { describe, expect, it } from "vitest";
import {
  boundedEffort,
  difficultyOf,
  priceOfEffort,
  type Difficulty,
  type Effort,
} from "../../core/algo/effort.js";
import { windowMeans } from "../../core/algo/windows.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Readings, Recipe } from "../../core/slots/recipe.js";
import { evaluated, fixtureBatch, LIVE } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const [easy, medium, hard]: Difficulty[] = [0, 1, 2];

describe("the score of effort", () => {
  it("is the paper's", () => {
    const rows = [3, 8, 5, 4].map((count, i): Effort => ({ count, success: i % 2 === 0, target: 5 }));
    const of = (difficulty: Difficulty): number[] =>
      rows.map((row) => (row.success ? 1 : 0) + priceOfEffort(row, difficulty, 0.2));
    expectClose(of(easy!), [1, -0.6, 1, 0]);
    expectClose(of(medium!), [1, -0.6, 1, -0.2]);
    expectClose(of(hard!), [1, 0, 1, -0.2]);
  });

  it("is the released code's", () => {
    const of = (difficulty: Difficulty, success: boolean, count: number): number =>
      (success ? 1 : 0) + boundedEffort({ success, count, target: 5 }, difficulty, 0.5);
    expectClose([of(easy!, true, 10), of(easy!, false, 10), of(medium!, true, 1)], [0.5, 0.264239, 0.851716]);
    expectClose([of(hard!, true, 6), of(hard!, true, 1), of(hard!, false, 5)], [1.428617, 0.966984, 0.3]);
    // Within the margin nothing is taken away.
    expectClose([of(easy!, true, 6), of(easy!, true, 1), of(medium!, true, 6)], [1, 1, 1]);
  });

  it("knows how hard a task is by the share that succeeds", () => {
    expect([1, 2 / 3, 0.66, 1 / 3, 0.33, 0].map(difficultyOf)).toEqual([0, 0, 1, 1, 2, 2]);
  });
});

describe("windows", () => {
  it("are means of so many steps in a row, or of all there are", () => {
    const x = Float64Array.of(9, 1, 2, 9, 6, 3);
    const steps = Uint32Array.of(1, 2, 4, 5);
    expectClose(windowMeans(x, steps, 2), [1.5, 4, 4.5]);
    expectClose(windowMeans(x, steps, 4), [3]);
    expectClose(windowMeans(x, steps, 10), [3]);
    expect(windowMeans(x, new Uint32Array(0), 2)).toHaveLength(0);
  });
});

describe("ares", () => {
  const entropies = Float64Array.of(0.8, 1.5, 0.4, 1.1, 0.6, 1.9, 0.3, 0.9, 1.3, 0.7);
  const base = fixtureBatch();
  /** Half of the rows succeed: medium. */
  const batch: Batch = withColumns(base, {
    step: { entropies, referenceLogprobs: base.step["oldLogprobs"]! },
  });
  const readings: Readings = {
    effort: {
      lambda_easy: 9,
      lambda_medium: 0.2,
      lambda_hard: 9,
      beta_easy: 9,
      beta_medium: 2,
      beta_hard: 9,
    },
  };
  const ares = (params: Readonly<Record<string, unknown>> = {}): Recipe =>
    resolveRecipe({ id: "ares", params: { windowSteps: 2, windowQuantile: 0.5, ...params } });
  const run = (params: Readonly<Record<string, unknown>> = {}, from = batch) =>
    evaluated(ares(params), from, {}, { readings });

  // Windows of two: 1.15 .95 | .85 | 1.1 .6 1.1 | .7; medians 1.05 .85 1.1 .7; their mean .925.
  const counts = [2, 0, 2, 0];

  it("counts windows above the rows' mean quantile, and prices them", () => {
    const { row } = run().batch;
    expect([...row["highWindows"]!]).toEqual(counts);
    expect([...row["difficulty"]!]).toEqual([1, 1, 1, 1]);
    // Target 1; rows 2 and 3 fail, each one window away.
    expectClose(row["score"]!, [1, -0.2, -0.2, 1]);
  });

  it("has the released form by choice", () => {
    const { row } = run({ form: "released" }).batch;
    const failed = boundedEffort({ success: false, count: 2, target: 1 }, 1, 0.5);
    // σ(0) = ½ of .8 of α = .5, and nothing for one window away.
    expectClose([failed], [0.2]);
    expectClose(row["score"]!, [1, 0.2, 0.2, 1]);
  });

  it("weighs the KL by difficulty, and less in high windows of rows that succeed", () => {
    const { batch: found, stats } = run({ klRelief: 0.25 });
    const weights = [0.5, 0.5, 0.5, 2, 2, 2, 2, 2, 2, 2];
    expectClose(found.step["klWeights"]!, weights);
    const k3 = [...LIVE].map((x, t) => {
      const d = x - batch.step["oldLogprobs"]![t]!;
      return Math.exp(-d) + d - 1;
    });
    const weighed = k3.reduce((sum, k, t) => sum + k * weights[t]!, 0) / 10;
    const plain = k3.reduce((sum, k) => sum + k, 0) / 10;
    expectClose([stats["referenceKl"]!, stats["referenceKl_medium"]!], [weighed, plain]);
    expect(stats["referenceKl_easy"]).toBeNaN();
  });

  it("reports windows by difficulty", () => {
    const { stats } = run();
    expectClose([stats["windows_medium"]!, stats["windowsSquared_medium"]!], [1, 2]);
    expect(stats["windows_hard"]).toBeNaN();
  });

  it("passes over masked steps", () => {
    const mask = batch.mask.slice();
    mask[1] = 0;
    // Row 1 is .8 .4 then: .6, of median .6. The mean of .6 .85 1.1 .7 is .8125.
    expect([...run({}, { ...batch, mask }).batch.row["highWindows"]!]).toEqual([0, 1, 2, 0]);
  });

  it("needs no reference without a KL", () => {
    expect(ares().requires).toEqual(["groups", "reference"]);
    expect(ares({ klCoefficient: 0 }).requires).toEqual(["groups"]);
    expect(ares({ klCoefficient: 0 }).terms.map(({ id }) => id)).toEqual(["policyLoss"]);
  });

  it("lets groups enter of which some rows succeed", () => {
    const { keep } = ares({ successScore: 3 }).sampler.filter!;
    expect(
      [
        [3, 1],
        [3, 4],
        [1, 2],
      ].map((scores) => keep(Float64Array.from(scores))),
    ).toEqual([true, false, false]);
    expect(ares({ filterCertain: false }).sampler.filter).toBeUndefined();
  });

  it("prices more windows than before, and holds the KL near its target", () => {
    const tracker = ares({ klTarget: 0.1, lambdaMax: 3 }).trackers["effort"]!;
    const read = (state: unknown): number[] => {
      const shown = tracker.read(JSON.parse(JSON.stringify(state)));
      return ["lambda_easy", "beta_easy", "lambda_hard", "beta_hard"].map((name) => shown[name]!);
    };
    const stats = (n: number, square: number, kl: number) => ({
      ...{ windows_easy: n, windowsSquared_easy: square, referenceKl_easy: kl },
    });
    const first = tracker.conclude!(tracker.initial, stats(4, 20, 0.11), {});
    const up = Math.exp(0.05 * 0.1);
    expectClose(read(first), [0, up, 0, 1]);
    // Variance 37 − 36, mean before 4: λ = 2. KL ten times its target moves β as one 1.2 times as large would.
    const second = tracker.conclude!(first, stats(6, 37, 1), {});
    expectClose(read(second), [2, up * Math.exp(0.01), 0, 1], 1e-5);
    // Running mean 4.2: fewer than that cost nothing.
    const third = tracker.conclude!(second, stats(4.1, 20, 0.1), {});
    expectClose(read(third), [0, up * Math.exp(0.01), 0, 1]);
    // Bounded where all rows have as many windows.
    expectClose(read(tracker.conclude!(second, stats(6, 36, 0.1), {})).slice(0, 1), [3]);
    // A batch without easy tasks changes nothing.
    expect(tracker.conclude!(second, {}, {})).toEqual(second);
  });
});
