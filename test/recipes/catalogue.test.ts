/** Methods against numbers that were worked out by hand, to the six digits that are given. */
import { describe, it } from "vitest";
import { deriveColumns } from "../../core/slots/evaluate.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { contextOf } from "./fixture.js";
import { evaluated, fixtureBatch, rowAdvantages } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

const advantagesOf = (id: string, scores: readonly number[]): number[] =>
  rowAdvantages(evaluated(recipe(id), fixtureBatch(scores)).batch);

describe("grpo", () => {
  it("centres and scales by group", () => {
    expectClose(advantagesOf("grpo", [1, 0, 0, 1]), [0.866024, -0.866024, -0.866024, 0.866024]);
    expectClose(advantagesOf("grpo", [1, 0.2, 0, 0.6]), [1.240213, -0.563733, -1.01472, 0.33824]);
  });

  it("has the loss and the cotangents of PPO's clip, averaged by row", () => {
    const { loss, cotangents } = evaluated(recipe("grpo"));
    expectClose([loss], [-0.047366]);
    expectClose(
      cotangents.logprob!,
      [-0.079759, -0.068649, 0, 0, 0.125772, 0.056902, 0.080747, 0, 0.054126, 0],
    );
  });

  it("gives a group of equal scores nothing, and a row alone its score", () => {
    expectClose(advantagesOf("grpo", [1, 1, 1, 1]), [0, 0, 0, 0]);
    const apart = fixtureBatch([1, 0, 0.5, 0.25], undefined, [1, 2, 3, 4]);
    const eps = 1 + 1e-6;
    expectClose(rowAdvantages(evaluated(recipe("grpo"), apart).batch), [1 / eps, 0, 0.5 / eps, 0.25 / eps]);
  });
});

describe("dr-grpo", () => {
  it("centres by group and divides by rows and the longest length", () => {
    expectClose(advantagesOf("dr-grpo", [1, 0, 0, 1]), [0.5, -0.5, -0.5, 0.5]);
    expectClose([evaluated(recipe("dr-grpo", { maxLength: 8 })).loss], [0.028883]);
  });
});

describe("rloo", () => {
  it("takes the mean of the others away", () => {
    expectClose(advantagesOf("rloo", [1, 0, 0, 1]), [2 / 3, -2 / 3, -2 / 3, 2 / 3]);
    expectClose(advantagesOf("rloo", [1, 0.2, 0, 0.6]), [0.733333, -0.333333, -0.6, 0.2]);
  });
});

describe("gspo", () => {
  it("has one ratio a row", () => {
    const { loss, cotangents } = evaluated(recipe("gspo", { clipLow: 0.2, clipHigh: 0.2 }));
    expectClose([loss], [-0.072379]);
    const rows = [
      [-0.081099, 3],
      [0.102973, 2],
      [0.056195, 4],
      [0, 1],
    ] as const;
    expectClose(
      cotangents.logprob!,
      rows.flatMap(([x, n]) => new Array<number>(n).fill(x)),
    );
  });

  it("clips all but one row with the paper's window", () => {
    const { loss, cotangents } = evaluated(recipe("gspo"));
    expectClose([loss], [0.008035]);
    expectClose(cotangents.logprob!, [0, 0, 0, 0, 0, 0.056195, 0.056195, 0.056195, 0.056195, 0]);
  });
});

describe("cispo", () => {
  it("clips weights and drops no gradient", () => {
    const { loss, cotangents } = evaluated(recipe("cispo", { clipHigh: 0.2 }));
    expectClose([loss], [-0.213054]);
    expectClose(cotangents.logprob!, [
      ...[-0.09571, -0.082379, -0.103923, 0.067446, 0.100618],
      ...[0.091043, 0.103923, 0.064157, 0.086602, -0.103923],
    ]);
  });
});

describe("lite-ppo", () => {
  it("centres by group and scales by batch", () => {
    const offsets = Array.from({ length: 9 }, (_, i) => i);
    const batch = fixtureBatch([1, 0, 0, 1, 1, 1, 1, 0], offsets, [1, 1, 1, 1, 2, 2, 2, 2]);
    const found = rowAdvantages(evaluated(recipe("lite-ppo"), batch).batch);
    expectClose(found, [0.96609, -0.96609, -0.96609, 0.96609, 0.483045, 0.483045, 0.483045, -1.449135]);
  });
});

describe("spo-simple", () => {
  it("has the loss and the gates of the quadratic penalty", () => {
    const half = 0.866024;
    const rows = [
      [half, 3],
      [-half, 2],
      [-half, 4],
      [half, 1],
    ] as const;
    const advantages = Float64Array.from(rows.flatMap(([x, n]) => new Array<number>(n).fill(x)));
    const batch = fixtureBatch();
    const critic = { values: new Float64Array(10) };
    const withCritic = {
      ...batch,
      step: { ...batch.step, ...critic },
      row: { ...batch.row, bootstrapValues: new Float64Array(4) },
    };
    const { stats, cotangents } = evaluated(
      recipe("spo-simple", { normalizeAdvantages: false, entropyCoefficient: 0 }),
      withCritic,
      { advantages },
    );
    expectClose([stats["policyLoss"]!], [0.262065]);
    const gates = [
      ...[-0.453807, -1.02467, 0.875932, -0.07149, 1.820345],
      ...[1.143819, 4.469035, -0.189845, 0.866024, 0.113195],
    ];
    expectClose(
      cotangents.logprob!,
      gates.map((gate) => gate / 10),
    );
  });
});

describe("reinforce-pp", () => {
  it("whitens over the steps of the batch what the group's mean leaves", () => {
    expectClose(advantagesOf("reinforce-pp", [1, 0, 0, 1]), [1.161895, -0.774597, -0.774597, 1.161895]);
  });
});

describe("bnpo", () => {
  it("divides by the density of the Beta distribution of the success rates", () => {
    // Success rates 1/4, 1/2, 3/4, 1/2.
    const scores = [
      [1, 0, 0, 0],
      [1, 1, 0, 0],
      [1, 1, 1, 0],
      [0, 1, 0, 1],
    ];
    const offsets = Array.from({ length: 17 }, (_, i) => i);
    const batch = fixtureBatch(
      scores.flat(),
      offsets,
      scores.flatMap((row, group) => row.map(() => group)),
    );
    const found = rowAdvantages(deriveColumns(recipe("bnpo"), "seal", batch, contextOf()));
    const of = (score: number): number[] =>
      scores.map((row, group) => found[4 * group + row.indexOf(score)]!);
    expectClose(of(1), [0.667379, 0.350079, 0.22246, 0.350079]);
    expectClose(of(0), [-0.22246, -0.350079, -0.667379, -0.350079]);
  });

  it("is dr-grpo's advantage where all tasks are as hard, or there is one", () => {
    expectClose(advantagesOf("bnpo", [1, 0, 0, 1]), [0.5, -0.5, -0.5, 0.5]);
    expectClose(advantagesOf("bnpo", [1, 1, 1, 1]), [0, 0, 0, 0]);
  });
});

describe("delta-l", () => {
  it("weighs rows by their lengths", () => {
    const params = { maxLength: 8, clipHigh: 0.2 };
    expectClose([evaluated(recipe("delta-l", params)).loss], [-0.011368]);
  });
});

describe("sapo", () => {
  it("has the loss of the soft gate", () => {
    expectClose([evaluated(recipe("sapo")).loss], [-0.109523]);
  });
});
