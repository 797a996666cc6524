/** What groups make of their rows' scores and answers, against numbers that were worked out by hand. */
import { describe, expect, it } from "vitest";
import { answerEntropy, consistentReward } from "../../core/algo/answer-entropy.js";
import { spreadSplits } from "../../core/algo/budget.js";
import { conditionalAdvantages } from "../../core/algo/conditional.js";
import { difficultiesOf, effortScores, meansByDifficulty } from "../../core/algo/effort.js";
import { majorityVotes } from "../../core/algo/majority.js";
import { scoreQuantiles } from "../../core/algo/risk.js";
import { weighedRubrics } from "../../core/algo/rubrics.js";
import { highWindows } from "../../core/algo/windows.js";
import { expectClose, f } from "./fixture.js";

const close = (actual: ArrayLike<number>, expected: readonly number[]): void =>
  expectClose(actual, expected, 1e-12);

describe("conditionalAdvantages", () => {
  // Group 0: by metric the rows are 2 (score 4) | 0 (1), 3 (2), ⌊3/2⌋ = 1 of them below; group 1 is row 1 alone.
  const input = { scores: f(1, 5, 4, 2), metrics: f(0.5, 0, 0.1, 0.9), groups: f(0, 1, 0, 0) };

  it("compares with the other half where μ = 1", () => {
    close(conditionalAdvantages(input, { factors: [1, 1], mu: 1 }), [1 - 4, 5, 4 - 1.5, 2 - 4]);
  });

  it("compares with the own half where μ = 0, whatever the factors are", () => {
    close(conditionalAdvantages(input, { factors: [3, 7], mu: 0 }), [1 - 1.5, 0, 0, 2 - 1.5]);
  });

  it("scales the scores of either half where halves are compared", () => {
    close(conditionalAdvantages(input, { factors: [0.5, 1], mu: 1 }), [1 - 2, 5, 2 - 1.5, 2 - 2]);
  });
});

describe("weighedRubrics", () => {
  it("weighs each rubric by the mean confidence of the row's group", () => {
    // Group 0: ω = 1 and (0.2 + 0.4)/2 = 0.3; group 1: ω = 1 and 1.
    const rubrics = [
      { scores: f(1, 0, 3), confidences: null },
      { scores: f(2, 4, 1), confidences: f(0.2, 0.4, 1) },
    ];
    close(weighedRubrics(rubrics, f(0, 0, 1)), [1.6 / 1.3, 1.2 / 1.3, 2]);
  });

  it("takes the mean where nobody is sure of anything", () => {
    const none = f(0, 0);
    const rubrics = [f(1, 2), f(3, 6)].map((scores) => ({ scores, confidences: none }));
    close(weighedRubrics(rubrics, f(0, 0)), [2, 4]);
  });
});

describe("majorityVotes", () => {
  it("agrees with the most frequent answer, of equals that of the lowest member", () => {
    // Group 7: answers 1, 1, 2; group 8: 5 of member 1 against 4 of member 0.
    const votes = majorityVotes(f(1, 5, 1, 4, 2), f(7, 8, 7, 8, 7), f(0, 1, 1, 0, 2));
    expect([...votes]).toEqual([1, 0, 1, 1, 0]);
  });
});

describe("consistentReward", () => {
  it("takes away more where four answers differ than where they agree", () => {
    // Four answers: H = 2 bits, λ = (3/4)/2, so that 1 − λ·H = 1/4.
    const bits = answerEntropy([1, 2, 3, 4]) / Math.LN2;
    close([consistentReward(f(1, 1, 0, 0), bits), consistentReward(f(1, 1, 0, 0), 0)], [0.125, 0.5]);
    close([consistentReward(f(3), 0)], [3]);
  });
});

describe("effort", () => {
  // Group 0 succeeds whole (easy), group 1 by half (medium), group 2 not at all (hard).
  const successes = f(1, 1, 0, 1, 0, 0);
  const groups = f(0, 0, 1, 1, 2, 2);
  const difficulties = difficultiesOf(successes, groups);
  const counts = f(2, 4, 7, 2, 1, 4);

  it("knows a row's difficulty by its group, and the means of each", () => {
    expect([...difficulties]).toEqual([0, 0, 1, 1, 2, 2]);
    close(meansByDifficulty(counts, difficulties), [3, 4.5, 2.5]);
    expect(meansByDifficulty(f(1), f(2))).toEqual([NaN, NaN, 1]);
  });

  it("prices what a row that fails has beside the mean, in the paper's form", () => {
    // Medium: −2·|7 − 4.5|; hard: −3·(2.5 − 1)⁺ and none for what is above.
    const prices = { form: "paper", lambdas: [1, 2, 3], alpha: 0 } as const;
    close(effortScores({ successes, counts, difficulties }, prices), [1, 1, -5, 1, -4.5, 0]);
  });

  it("aims at a whole number in the released form", () => {
    // Hard, target round(2.5) = 3, margin max(1, .35·3) = 1.05: 4 is within it, and so is 1; σ(0) = ½ of 1.2·α.
    const prices = { form: "released", lambdas: [], alpha: 1 } as const;
    const scores = effortScores({ successes, counts, difficulties }, prices);
    close(scores.subarray(4), [0.6, 0.6]);
  });
});

describe("highWindows", () => {
  it("counts the windows above the mean over rows of a quantile, and marks their steps", () => {
    // Means of two: [1, 3, 5] (the masked 99 left out) and [2, 2]; medians 3 and 2, so that τ = 2.5.
    const x = f(0, 2, 99, 4, 6, 2, 2, 2);
    const mask = Uint8Array.of(1, 1, 0, 1, 1, 1, 1, 1);
    const { counts, inside } = highWindows(x, mask, Uint32Array.of(0, 5, 8), { width: 2, level: 0.5 });
    expect([...counts]).toEqual([2, 0]);
    expect([...inside]).toEqual([0, 1, 0, 1, 1, 0, 0, 0]);
  });
});

describe("spreadSplits", () => {
  it("gives each stretch between budgets its advantage, as far as the episode goes", () => {
    expect([...spreadSplits(f(1, 2, 3), [2, 3], 5)]).toEqual([1, 1, 2, 3, 3]);
    expect([...spreadSplits(f(1, 2, 3), [2, 9], 3)]).toEqual([1, 1, 2]);
    expect(() => spreadSplits(f(1, 2), [2, 9], 3)).toThrow(/expected ofSplits/);
  });
});

describe("scoreQuantiles", () => {
  it("lie between the nearest ranks", () => {
    expect(scoreQuantiles(f(4, 0, 2), { low: 0.25, high: 1 })).toEqual({ low: 1, high: 4 });
  });
});
