/** seed-grpo, egsw, canon and oblr-po against worked numbers, and by what they reduce to. */
import { describe, expect, it } from "vitest";
import { logitGradientNorm } from "../../core/algo/categorical.js";
import { answerEntropy } from "../../core/algo/answer-entropy.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { cosineWithRestarts } from "../../core/recipes/parts/canon-schedule.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { Random } from "../../core/random.js";
import { evaluated, fixtureBatch, rowAdvantages } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

/** Of the fixture's steps. */
const ENTROPIES = Float64Array.of(0.8, 1.5, 0.4, 1.1, 0.6, 1.9, 0.3, 0.9, 1.3, 0.7);

/** Rows of one step each, in one group. */
function singleSteps(scores: readonly number[], step: Batch["step"] = {}, row: Batch["row"] = {}): Batch {
  const offsets = Array.from({ length: scores.length + 1 }, (_, i) => i);
  return withColumns(fixtureBatch(scores, offsets), { step, row });
}

function advantages(found: Recipe, batch: Batch): number[] {
  return rowAdvantages(evaluated(found, batch).batch);
}

describe("seed-grpo", () => {
  const likelihoods = Float64Array.of(-0.4, -0.6, -0.9, -1.2);
  const answer = Float64Array.of(3, 3, 8, 9);
  const batch = singleSteps([1, 0, 0, 1], { oldLogprobs: likelihoods }, { answer });

  it("knows the entropy of answers, by likelihood and by count", () => {
    expectClose([answerEntropy(answer, likelihoods)], [0.90802]);
    expectClose([answerEntropy(answer, new Float64Array(4))], [1.039721]);
    expect(answerEntropy([5, 5], [-1, -2])).toBe(0);
  });

  it("shrinks advantages by it", () => {
    const of = (params: Readonly<Record<string, unknown>>) => advantages(recipe("seed-grpo", params), batch);
    expectClose(
      of({}),
      [0.5, -0.5, -0.5, 0.5].map((x) => x * 0.973413),
    );
    expectClose(of({ alpha: 1, scaling: "linear" }), [0.172501, -0.172501, -0.172501, 0.172501]);
    const counted = 1 - 1.039721 / Math.log(4);
    expectClose(
      of({ alpha: 1, scaling: "linear", answerWeights: "count" }),
      [0.5, -0.5, -0.5, 0.5].map((x) => x * counted),
    );
  });

  it("is dr-grpo where all answers are the same", () => {
    const same = withColumns(batch, { row: { answer: new Float64Array(4) } });
    expectClose(advantages(recipe("seed-grpo"), same), [0.5, -0.5, -0.5, 0.5]);
  });

  it("leaves a row alone as dr-grpo does", () => {
    expectClose(advantages(recipe("seed-grpo"), fixtureBatch([0.7], [0, 3])), [0.7]);
  });
});

describe("egsw", () => {
  it("weighs rows by advantage and entropy", () => {
    const batch = withColumns(fixtureBatch(), { step: { entropies: ENTROPIES } });
    const result = evaluated(recipe("egsw"), batch);
    const weights = result.batch.step["rowWeights"]!;
    expectClose(
      [0, 3, 5, 9].map((t) => weights[t]! / 4),
      [0.434044, 0.075649, 0.08154, 0.408767],
    );
    expectClose([result.loss], [-0.691885]);
  });

  it("is grpo where nothing tells rows apart", () => {
    const batch = withColumns(fixtureBatch(), { step: { entropies: ENTROPIES } });
    expectClose([evaluated(recipe("egsw", { temperature: 1000 }), batch).loss], [-0.047366], 5e-3);
    const even = withColumns(fixtureBatch([1, 1, 1, 1]), { step: { entropies: new Float64Array(10) } });
    expectClose(evaluated(recipe("egsw"), even).batch.step["rowWeights"]!, new Array<number>(10).fill(1));
  });
});

describe("canon", () => {
  const scores = [1, 0.2, 0, 0.6];
  const entropies = Float64Array.of(0.9, 0.85, 1.1, 0.7);
  const batch = singleSteps(scores, { entropies });
  const of = (params: Readonly<Record<string, unknown>>, given = batch): number[] =>
    advantages(recipe("canon", params), given);

  it("compares between and within halves of different entropy", () => {
    expectClose(of({ mu: 1 }), [0.6, -0.3, -0.4, 0.1]);
    expectClose(of({ mu: 0 }), [0.5, -0.2, -0.5, 0.2]);
    expectClose(of({ mu: 0.8 }), [0.58, -0.28, -0.42, 0.12]);
  });

  it("with half of each is dr-grpo", () => {
    expectClose(of({}), [0.55, -0.25, -0.45, 0.15]);
    expectClose(of({}), advantages(recipe("dr-grpo"), batch));
  });

  it("makes long rows worse, or those of low entropy", () => {
    // Lengths in the order of the entropies above.
    const long = fixtureBatch(scores, [0, 3, 5, 9, 10]);
    expectClose(of({ metric: "length", mu: 1, alpha: 0.9 }, long), [0.5, -0.25, -0.4, 0.15]);
    // Low entropy: rows 4 and 2. Row 4: .9·.6 − .5, row 2: .9·.2 − .5; rows 1 and 3 lose .9·.4.
    expectClose(of({ mu: 1, alpha: 0.9 }), [0.64, -0.32, -0.36, 0.04]);
  });

  it("keeps the order in which rows came where they are equal", () => {
    const even = singleSteps(scores, { entropies: new Float64Array(4) });
    expectClose(of({ mu: 1 }, even), [1 - 0.3, 0.2 - 0.3, -0.6, 0]);
  });

  it("leaves a row alone with its score, as far as it is compared with others", () => {
    expectClose(of({ mu: 0.75 }, singleSteps([2], { entropies: Float64Array.of(1) })), [1.5]);
  });

  it("has a cosine with a warm-up and restarts", () => {
    const p = { cosineBatches: 150, cosineWarmup: 30, cosineCycles: 3, cosineMax: 0.6 };
    const at = [0, 29, 30, 50, 69, 70, 150].map((n) => cosineWithRestarts(n, p));
    const last = 0.3 * (1 + Math.cos((Math.PI * 39) / 40));
    expectClose(at, [0.02, 0.6, 0.6, 0.3, last, 0.6, 0.6]);
  });

  it.each([
    ["first-inter", [0.55, 0.55]],
    ["first-intra", [0.45, 0.45]],
    ["cosine-first-inter", [0.3, 0.6]],
    ["cosine-first-intra", [0.7, 0.4]],
  ])("follows the schedule %s", (schedule, mus) => {
    const found = recipe("canon", { schedule, cosineWarmup: 2 });
    const [[name, tracker]] = Object.entries(found.trackers) as [[string, Recipe["trackers"][string]]];
    let state = tracker.initial;
    for (const mu of mus) {
      state = tracker.observe(state, batch);
      const readings = { [name]: tracker.read(state) };
      expectClose([readings[name]!["mu"]!], [mu]);
      const row = rowAdvantages(evaluated(found, batch, {}, { readings }).batch);
      expectClose(row, of({ mu }));
    }
  });
});

describe("oblr-po", () => {
  it("weighs scores by their gradients", () => {
    // Two actions of logits ±x: W = 1 − 2p + p² + (1 − p)² = 2(1 − p)² for the one that was taken.
    const weights = [1.2, 0.4, 2, 0.6];
    const policies = Float64Array.from(
      weights.flatMap((w) => {
        const p = 1 - Math.sqrt(Math.min(w, 1.999999) / 2);
        return [Math.log(p / (1 - p)), 0];
      }),
    );
    const found = advantages(recipe("oblr-po"), singleSteps([1, 0, 0, 1], { policies }));
    expectClose(found, [0.571429, -0.428571, -0.428571, 0.571429]);
  });

  it("has the squared length of the gradient of an action's log-probability", () => {
    const random = new Random(3);
    const logits = Float64Array.from({ length: 6 }, () => 2 * random.normal());
    const logprob = (x: Float64Array): number => {
      const total = x.slice(1, 6).reduce((sum, l) => sum + Math.exp(l), 0);
      return x[3]! - Math.log(total);
    };
    let squares = 0;
    for (let a = 1; a < 6; a++) {
      const [up, down] = [logits.slice(), logits.slice()];
      up[a]! += 1e-5;
      down[a]! -= 1e-5;
      squares += ((logprob(up) - logprob(down)) / 2e-5) ** 2;
    }
    expectClose([logitGradientNorm(logits, 1, 5, 2)], [squares], 1e-8);
  });

  it("takes the mean where the policy is certain", () => {
    const policies = Float64Array.from([0, 1, 2, 3].flatMap(() => [1000, 0]));
    expectClose(
      advantages(recipe("oblr-po"), singleSteps([1, 0, 0, 1], { policies })),
      [0.5, -0.5, -0.5, 0.5],
    );
  });

  it("sums over a row's chosen steps", () => {
    const policies = Float64Array.from({ length: 20 }, (_, k) => Math.sin(k));
    const scores = [1, 0.2, 0, 0.6];
    const batch = withColumns(fixtureBatch(scores), { step: { policies } });
    const mask = batch.mask.slice();
    mask[1] = 0;
    const rows = [[0, 2], [3, 4], [5, 6, 7, 8], [9]];
    // Action 0 of two: 2(1 − p)², p = σ(l0 − l1).
    const weights = rows.map((steps) =>
      steps.reduce((sum, t) => sum + 2 / (1 + Math.exp(Math.sin(2 * t) - Math.sin(2 * t + 1))) ** 2, 0),
    );
    const total = weights.reduce((a, b) => a + b);
    const baseline = weights.reduce((sum, w, i) => sum + w * scores[i]!, 0) / total;
    expectClose(
      advantages(recipe("oblr-po"), { ...batch, mask }),
      scores.map((score) => score - baseline),
    );
  });
});
