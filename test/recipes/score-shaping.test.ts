/** riskpo, grape and pear against worked numbers. */
import { describe, expect, it } from "vitest";
import { mixedRisk, trackQuantile } from "../../core/algo/risk.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { deriveColumns } from "../../core/slots/evaluate.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Readings, Recipe } from "../../core/slots/recipe.js";
import { contextOf } from "./fixture.js";
import { evaluated, fixtureBatch, rowAdvantages } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

const upTo = (n: number): number[] => Array.from({ length: n + 1 }, (_, i) => i);

describe("riskpo", () => {
  const levels = { low: 0.2, high: 0.8, tailWeight: 1.5, naturalBaseline: false };
  const q = { low: 0.3, high: 1.4 };
  const readings: Readings = { paperQuantiles: q };
  /** Two groups of three, of scores 1 0 1 and 0 0 1: papers of 1, 0 and 2. */
  const batch: Batch = withColumns(fixtureBatch([1, 0, 1, 0, 0, 1], upTo(6), [4, 4, 4, 2, 2, 2]), {
    row: { member: Float64Array.of(0, 1, 2, 0, 1, 2) },
  });
  const of = (
    params: Readonly<Record<string, unknown>>,
    given: Readings = readings,
    from = batch,
  ): number[] =>
    rowAdvantages(
      evaluated(recipe("riskpo", { bundleGroups: 2, ...params }), from, {}, { readings: given }).batch,
    );

  it("mixes the lower tail with the middle", () => {
    const at = (naturalBaseline: boolean) =>
      [1, 0, 2].map((score) => mixedRisk(score, q, { ...levels, naturalBaseline }));
    expectClose(at(false), [0.466666, -0.899996, 0.733332]);
    expectClose(at(true), [-0.266666, -1.633328, 0]);
    // Without a tail, from lowest to highest: the score less 1.
    const whole = { low: 0, high: 1, tailWeight: 0, naturalBaseline: true };
    expectClose(
      [0, 0.25, 1].map((score) => mixedRisk(score, { low: 0, high: 1 }, whole)),
      [-1, -0.75, 0],
    );
  });

  it("gives rows their part of their paper", () => {
    expectClose(of({}), [0.233333, -0.599996, 0.244444, 0.233333, -0.299998, 0.488888]);
    const uniform = [0.466666, -0.899996, 0.733332];
    expectClose(of({ credit: "uniform" }), [...uniform, ...uniform]);
    const weights = [0.5, 1.5, 0.5, 1.5, 1.5, 0.5];
    expectClose(
      of({ credit: "score" }),
      weights.map((w, i) => w * uniform[i % 3]!),
      5e-6,
    );
    const std = 1 / Math.sqrt(3);
    expectClose(
      of({ credit: "std" }),
      [...uniform, ...uniform].map((a) => a / (std + 1e-6)),
      5e-6,
    );
  });

  it("takes rows of a group by member, whatever the order in which they lie", () => {
    const swapped = withColumns(batch, {
      row: { member: Float64Array.of(1, 0, 2, 0, 1, 2), score: Float64Array.of(0, 1, 1, 0, 0, 1) },
    });
    expectClose(of({}, readings, swapped), [-0.599996, 0.233333, 0.244444, 0.233333, -0.299998, 0.488888]);
  });

  it("does not divide by a spread that is not there", () => {
    const failed = withColumns(batch, { row: { score: new Float64Array(6) } });
    // Risk of 0: tail −.3/.2, weighed 1.5 of 2.5; in equal parts.
    expectClose(of({}, readings, failed), new Array<number>(6).fill((-0.9 + 4e-6) / 2), 1e-5);
  });

  it("follows quantiles", () => {
    expectClose([trackQuantile(0, [1, 0, 2], 0.2, 0.1), trackQuantile(0, [1, 0, 2], 0.8, 0.1)], [0.02, 0.08]);
    const second = [trackQuantile(0.02, [1, 0, 2], 0.2, 0.1), trackQuantile(0.08, [1, 0, 2], 0.8, 0.1)];
    expectClose(second, [0.006667, 0.126667]);
  });

  it("begins with those of its first batch, and then takes steps", () => {
    const found = recipe("riskpo", { bundleGroups: 2 });
    const tracker = found.trackers["paperQuantiles"]!;
    const first = tracker.observe(tracker.initial, batch);
    // Papers 0 1 2: linear between ranks.
    expectClose(Object.values(tracker.read(first)), [0.4, 1.6]);
    // One of three papers below .4, two below 1.6.
    const next = JSON.parse(JSON.stringify(tracker.observe(first, batch))) as unknown;
    expectClose(Object.values(tracker.read(next)), [0.4 + 0.1 * (0.2 - 1 / 3), 1.6 + 0.1 * (0.8 - 2 / 3)]);
  });

  it("takes them from the bundle, or from both", () => {
    const own = { paperQuantiles: { low: 0.4, high: 1.6 } };
    expectClose(of({ quantiles: "batch" }), of({}, own), 1e-12);
    expect(recipe("riskpo", { quantiles: "batch" }).trackers).toEqual({});
    expectClose(of({ quantiles: "mix" }), of({}, { paperQuantiles: { low: 0.35, high: 1.5 } }), 1e-12);
  });

  it("bundles groups in the order of the batch", () => {
    expect(recipe("riskpo").sampler.bundleGroups).toBe(5);
    // Alone, a group's papers are its rows.
    const uniform = { bundleGroups: 1, credit: "uniform", normalizeByStd: false };
    expectClose(
      of(uniform),
      [1, 0, 1, 0, 0, 1].map((score) => mixedRisk(score, q, levels)),
    );
  });

  it("refuses quantiles in the wrong order", () => {
    expect(() => recipe("riskpo", { quantileLow: 0.9 })).toThrow(
      /quantileLow < quantileHigh, got 0.9 and 0.8/,
    );
  });
});

describe("grape", () => {
  const columns = {
    right: Float64Array.of(0.9, 0.4, 0.7),
    short: Float64Array.of(0.2, 0.8, 0.6),
    surelyRight: Float64Array.of(0.9, 0.8, 1),
    surelyShort: Float64Array.of(0.5, 0.3, 0.4),
  };
  const rubrics = [
    { score: "right", confidence: "surelyRight" },
    { score: "short", confidence: "surelyShort" },
  ];
  const batch = withColumns(fixtureBatch([7, 7, 7], upTo(3)), { row: columns });

  it("weighs rubrics by confidence", () => {
    const found = evaluated(recipe("grape", { rubrics }), batch).batch;
    expectClose(found.row["score"]!, [0.684615, 0.523077, 0.669231]);
    expectClose(rowAdvantages(found), [0.058974, -0.102564, 0.04359]);
  });

  it("counts them the same where none is sure, or none says so", () => {
    const unsure = withColumns(batch, {
      row: { surelyRight: new Float64Array(3), surelyShort: new Float64Array(3) },
    });
    const mean = [0.55, 0.6, 0.65];
    expectClose(evaluated(recipe("grape", { rubrics }), unsure).batch.row["score"]!, mean);
    const silent = rubrics.map(({ score }) => ({ score }));
    expectClose(evaluated(recipe("grape", { rubrics: silent }), batch).batch.row["score"]!, mean);
  });

  it("says what the environment has to emit, and refuses a row without", () => {
    expect(recipe("grape", { rubrics }).counters).toEqual(["right", "surelyRight", "short", "surelyShort"]);
    expect(recipe("grape").counters).toEqual([]);
    const without = withColumns(batch, { row: { right: Float64Array.of(1, NaN, 1) } });
    expect(() => evaluated(recipe("grape", { rubrics }), without)).toThrow(/a number for "right".*got NaN/);
  });
});

describe("pear", () => {
  /** Four rows of a step that thinks, one that is masked and one that answers. */
  const thinking = [1.2, 0.8, 0.5, 0.9];
  const answering = [0.2, 0.3, 0.6, 0.1];
  const entropies = Float64Array.from(thinking.flatMap((h, i) => [h, 99, answering[i]!]));
  const scores = [1, 0, 1, 1];
  const plain = fixtureBatch(scores, [0, 3, 6, 9, 12]);
  const mask = Uint8Array.from({ length: 12 }, (_, t) => (t % 3 === 1 ? 0 : 1));
  const batch = withColumns({ ...plain, mask }, { step: { entropies } });
  const answerAt = (...steps: number[]) =>
    withColumns(batch, { row: { answerAt: Float64Array.from(steps) } });
  const of = (params: Readonly<Record<string, unknown>>, from: Batch): Batch =>
    deriveColumns(recipe("pear", params), "seal", from, contextOf());

  it("takes entropy of thinking from the score of rows that succeed", () => {
    const found = of({}, answerAt(2, 2, 2, 2));
    expectClose(found.row["score"]!, [0, 0, 1, 0.2]);
    expectClose(rowAdvantages(found), [-0.630125, -0.630125, 1.470291, -0.210042]);
  });

  it("allows for α times the answer's, and counts all where there is no answer", () => {
    // Row 2 fails; row 3 never answers: (.5 + .6)/2.
    const found = of({ alpha: 2, failureReward: -3 }, answerAt(2, 2, NaN, 1));
    expectClose(found.row["score"]!, [1 - 0.8, -3, 1 - 0.55, 1 - 0.7]);
  });

  it("has a share of the steps think where nothing says where the answer begins", () => {
    expectClose(of({ thinkingShare: 0.5 }, batch).row["score"]!, [0, 0, 1, 0.2]);
    expectClose(of({ thinkingShare: 1 }, batch).row["score"]!, [1 - 0.7, 0, 1 - 0.55, 0.5]);
  });

  it("maps scores first", () => {
    const scaled = withColumns(answerAt(2, 2, 2, 2), { row: { score: Float64Array.of(500, 0, 500, 500) } });
    expectClose(of({ maxScore: 500 }, scaled).row["score"]!, [0, 0, 1, 0.2]);
    expect(() => of({}, scaled)).toThrow(
      /recipe pear needs scores from 0 \(failure\) to 1 \(success\), got 500/,
    );
  });
});
