/** Methods on episodes and their branches, against numbers worked out by hand. */
import { describe, expect, it } from "vitest";
import { budgetAdvantages, budgetProbabilities } from "../../core/algo/budget.js";
import { polychromicAdvantages } from "../../core/algo/polychromic.js";
import { Random } from "../../core/random.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { treesOf } from "../../core/recipes/parts/branches.js";
import { deriveColumns } from "../../core/slots/evaluate.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { fixtureBatch } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const f = (...numbers: number[]): Float64Array => Float64Array.from(numbers);
const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

interface Row {
  readonly group: number;
  readonly member: number;
  readonly rewards: readonly number[];
  /** Absent = the episode. */
  readonly at?: number;
  /** What the row ends with. */
  readonly final?: number;
}

function batchOf(rows: readonly Row[]): Batch {
  const offsets = [0];
  for (const { rewards } of rows) offsets.push(offsets.at(-1)! + rewards.length);
  const scores = rows.map(({ rewards }) => rewards.reduce((a, b) => a + b, 0));
  const batch = fixtureBatch(
    scores,
    offsets,
    rows.map(({ group }) => group),
  );
  return withColumns(
    { ...batch, finalObservations: Float32Array.from(rows, ({ final = 0 }) => final) },
    {
      step: { rewards: Float64Array.from(rows.flatMap(({ rewards }) => rewards)) },
      row: {
        member: Float64Array.from(rows, ({ member }) => member),
        branchAt: Float64Array.from(rows, ({ at = Number.NaN }) => at),
      },
    },
  );
}

const sealed = (of: Recipe, batch: Batch, seed = 1): Batch =>
  deriveColumns(of, "seal", batch, { readings: {}, live: {}, random: new Random(seed) });

const ofRow = (batch: Batch, row: number): number[] => [
  ...batch.step["advantages"]!.subarray(batch.offsets[row], batch.offsets[row + 1]),
];

describe("trees", () => {
  it("have the branches of each member by state, in order, with what was earned before", () => {
    const batch = batchOf([
      { group: 3, member: 0, rewards: [1, 2, 4, 8] },
      { group: 3, member: 0, rewards: [1], at: 2 },
      { group: 3, member: 0, rewards: [1], at: 2 },
      { group: 3, member: 1, rewards: [5] },
      { group: 4, member: 0, rewards: [6, 7] },
      { group: 4, member: 0, rewards: [1], at: 1 },
      { group: 4, member: 0, rewards: [1], at: 0 },
    ]);
    expect(treesOf(batch)).toEqual([
      { group: 3, row: 0, forks: [{ at: 2, prefix: 3, rows: [1, 2] }] },
      { group: 3, row: 3, forks: [] },
      {
        group: 4,
        row: 4,
        forks: [
          { at: 0, prefix: 0, rows: [6] },
          { at: 1, prefix: 6, rows: [5] },
        ],
      },
    ]);
  });
});

describe("brpo", () => {
  it("has the advantages of the worked example", () => {
    const scores = f(0, 0.5, 1, 1, 0, 0, 0.5, 1);
    const expected = [0.125, 0.25, 0.197917, 0.053571, -0.125, 0, 0.15625, 0.133929];
    expectClose(budgetAdvantages(scores, budgetProbabilities("uniform", 4)), expected);
  });

  it("is Dr. GRPO's advantage where the end is the only split, and has priors that sum to 1", () => {
    expectClose(budgetAdvantages(f(1, 0, 0, 1), f(1)), [0.5, -0.5, -0.5, 0.5]);
    expectClose(budgetProbabilities("linear", 4), [0.1, 0.2, 0.3, 0.4]);
    expectClose(budgetProbabilities("base", 3), [0, 0, 1]);
    expect(() => budgetAdvantages(f(1, 2, 3), f(0.5, 0.5))).toThrow(/expected scores \[4\], got \[3\]/);
  });

  /** Splits at 1, 2 and 3 steps and at the end; the scores are those of the worked example. */
  const batch = batchOf([
    { group: 1, member: 0, rewards: [0, 0.5, 0.25, 0.25, 0] },
    // Probes of mean 0, then 0.5 (0 before), then 1 (0.5 before).
    ...[-1, 1].map((score) => ({ group: 1, member: 0, rewards: [score], at: 1 })),
    ...[0.25, -0.25].map((score) => ({ group: 1, member: 0, rewards: [score, 0], at: 2 })),
    ...[0.25, 0.25].map((score) => ({ group: 1, member: 0, rewards: [score], at: 3 })),
    { group: 1, member: 1, rewards: [0, 0, 0, 1] },
    ...[0, 0].map((score) => ({ group: 1, member: 1, rewards: [score], at: 1 })),
    ...[1, -1].map((score) => ({ group: 1, member: 1, rewards: [score], at: 2 })),
    ...[1, 0].map((score) => ({ group: 1, member: 1, rewards: [score], at: 3 })),
    // Another group, whose episodes end before the second budget: the end's score stands for what is missing.
    { group: 2, member: 0, rewards: [0, 1] },
    { group: 2, member: 0, rewards: [0.5], at: 1 },
    { group: 2, member: 0, rewards: [0], at: 1 },
    { group: 2, member: 1, rewards: [0] },
  ]);
  const params = { budgets: [1, 2, 3], probes: 2 };

  it("credits the steps between two budgets with what lies between them", () => {
    const found = sealed(recipe("brpo", params), batch);
    expectClose(ofRow(found, 0), [0.125, 0.25, 0.197917, 0.053571, 0.053571]);
    expectClose(ofRow(found, 7), [-0.125, 0, 0.15625, 0.133929]);
    const other = budgetAdvantages(f(0.25, 1, 1, 1, 0, 0, 0, 0), budgetProbabilities("uniform", 4));
    expectClose(ofRow(found, 14), [other[0]!, other[1]!]);
    expectClose(ofRow(found, 17), [other[4]!]);
  });

  it("centres probes at their split", () => {
    const found = sealed(recipe("brpo", params), batch);
    expect([1, 2, 3, 5, 6].map((row) => ofRow(found, row))).toEqual([[-1], [1], [0.25, 0.25], [0], [0]]);
    expect([12, 13, 15, 16].flatMap((row) => ofRow(found, row))).toEqual([0.5, -0.5, 0.25, -0.25]);
    const four = batchOf([
      { group: 1, member: 0, rewards: [0, 0] },
      ...[1, 0, 1, 1].map((score) => ({ group: 1, member: 0, rewards: [score], at: 1 })),
    ]);
    const probes = sealed(recipe("brpo", { budgets: [1] }), four);
    expect([1, 2, 3, 4].flatMap((row) => ofRow(probes, row))).toEqual([0.25, -0.75, 0.25, 0.25]);
  });

  it("compares single probes within the group, with what was earned before", () => {
    const one = batchOf([
      { group: 1, member: 0, rewards: [2, 0] },
      { group: 1, member: 0, rewards: [1], at: 1 },
      { group: 1, member: 1, rewards: [0, 0] },
      { group: 1, member: 1, rewards: [2], at: 1 },
      { group: 2, member: 0, rewards: [0, 0] },
      { group: 2, member: 0, rewards: [9], at: 1 },
    ]);
    const found = sealed(recipe("brpo", { budgets: [1], probes: 1 }), one);
    expect([1, 3, 5].flatMap((row) => ofRow(found, row))).toEqual([0.5, -0.5, 0]);
  });

  it("asks for probes at its budgets, which have to rise", () => {
    const { sampler, requires } = recipe("brpo", { ...params, probeSteps: 9 });
    expect(sampler.branches).toEqual({ at: [1, 2, 3], states: 3, count: 2, maxSteps: 9 });
    expect(requires).toEqual(["groups", "snapshots"]);
    expect(() => recipe("brpo", { budgets: [5, 5] })).toThrow(
      "recipe brpo: branches: expected the steps to branch at in rising order, got 5, 5",
    );
  });
});

describe("polychromic", () => {
  const [returns, ends] = [f(1, 1, 1, 0), f(0, 1, 2, 2)];
  const set = (...members: number[]): Uint32Array => Uint32Array.from(members);

  it("has the advantages of the worked example", () => {
    const found = polychromicAdvantages(returns, ends, [set(0, 1), set(2, 3)]);
    expectClose(found, [0.375, 0.375, -0.375, -0.375]);
  });

  it("averages over the sets that a rollout is in: all six pairs", () => {
    const pairs = [set(0, 1), set(0, 2), set(0, 3), set(1, 2), set(1, 3), set(2, 3)];
    // f = 1, 1, ½, 1, ½, ¼; their mean is .708333.
    const baseline = 0.708333;
    const means = [2.5 / 3, 2.5 / 3, 2.25 / 3, 1.25 / 3];
    expectClose(
      polychromicAdvantages(returns, ends, pairs),
      means.map((mean) => mean - baseline),
    );
    expectClose(polychromicAdvantages(returns, ends, [set(0, 1)]), [0, 0, 0, 0]);
  });

  const params = { vineRollouts: 4, setSize: 2, window: 2, gamma: 1, lambda: 1 };
  const batch = withColumns(
    batchOf([
      { group: 1, member: 0, rewards: [0, 0, 3] },
      { group: 1, member: 0, rewards: [0, 0, 1], at: 1, final: 7 },
      { group: 1, member: 0, rewards: [1], at: 1, final: 8 },
      { group: 1, member: 0, rewards: [0, 1], at: 1, final: 9 },
      { group: 1, member: 0, rewards: [0, 0, 0], at: 1, final: 9 },
    ]),
    {
      step: { values: new Float64Array(12), policies: new Float64Array(24) },
      row: { bootstrapValues: new Float64Array(5) },
    },
  );

  it("gives the first steps of continuations their sets' advantage, and all others GAE's", () => {
    for (let seed = 0; seed < 20; seed++) {
      const found = sealed(recipe("polychromic", { ...params, partitions: 1 }), batch, seed);
      // With γ = λ = 1 and values of 0 GAE is the reward to come.
      expectClose(ofRow(found, 0), [3, 3, 3]);
      const [a, b, c, d] = [1, 2, 3, 4].map((row) => ofRow(found, row)) as [
        number[],
        number[],
        number[],
        number[],
      ];
      expect([a.length, b.length, c.length, d.length]).toEqual([3, 1, 2, 3]);
      expectClose([a[2]!, d[2]!], [1, 0]);
      // One partition of four is one of three: pairs have the same advantage.
      const of = [a[0]!, b[0]!, c[0]!, d[0]!];
      expect([a[1], c[1], d[1]]).toEqual([of[0], of[2], of[3]]);
      const partner = of.findIndex((x, i) => i > 0 && x === of[0]);
      const others = [1, 2, 3].filter((i) => i !== partner);
      const expected = polychromicAdvantages(returns, ends, [set(0, partner), set(others[0]!, others[1]!)]);
      expectClose(of, [...expected]);
    }
  });

  it("draws its sets from the learner's stream, and reads scores on the scale told", () => {
    const of = (seed: number, more = {}): number[] => [
      ...sealed(recipe("polychromic", { ...params, ...more }), batch, seed).step["advantages"]!,
    ];
    expect(of(1)).toEqual(of(1));
    expect(new Set(Array.from({ length: 12 }, (_, seed) => of(seed, { partitions: 1 }).join())).size).toBe(3);
    // R = score/2: half the advantage of the continuations, the same of the episode.
    const [whole, half] = [of(3), of(3, { maxScore: 2 })];
    expectClose(
      half.slice(3, 5),
      whole.slice(3, 5).map((x) => x / 2),
    );
    expectClose(half.slice(0, 3), whole.slice(0, 3));
  });

  it("asks for vines, and for what the KL needs where there is one", () => {
    const { sampler, requires, evaluate } = recipe("polychromic");
    expect(sampler.branches).toEqual({ at: "random", states: 2, count: 8, maxSteps: 0 });
    expect(requires).toEqual(["groups", "snapshots", "value", "exactKl"]);
    expect(evaluate).toEqual(["value", "policy"]);
    const without = recipe("polychromic", { klCoefficient: 0 });
    expect([without.requires, without.evaluate]).toEqual([["groups", "snapshots", "value"], ["value"]]);
    expect(() => recipe("polychromic", { setSize: 3 })).toThrow(
      /vineRollouts to be a multiple of setSize, got 8 and 3/,
    );
    expect(() => recipe("polychromic", { minScore: 1 })).toThrow(/minScore below maxScore, got 1 and 1/);
  });
});
