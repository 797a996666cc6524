/** What grpo, reinforce-pp, bnpo, dapo and copo can do beyond a group's mean, against worked numbers. */
import { describe, expect, it } from "vitest";
import { dualClip } from "../../core/algo/surrogates.js";
import { SkeinError } from "../../core/errors.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { overlongPenalty } from "../../core/recipes/parts/overlong.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { evaluated, fixtureBatch, LIVE, rowAdvantages } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

/** ℓ^ref − ℓ^old of the fixture's steps. */
const REFERENCE = [-0.02, 0.03, 0.05, 0, -0.1, 0.04, -0.06, 0.08, 0.02, 0.1];

function withReference(batch: Batch): Batch {
  const old = batch.step["oldLogprobs"]!;
  return withColumns(batch, { step: { referenceLogprobs: old.map((x, t) => x + REFERENCE[t]!) } });
}

describe("grpo with a reference policy", () => {
  it("adds k3 to the loss", () => {
    const grpo = recipe("grpo", { klCoefficient: 0.04 });
    expect(grpo.requires).toEqual(["groups", "reference"]);
    expect(grpo.evaluateReference).toEqual(["logprob"]);
    const { loss, stats } = evaluated(grpo, withReference(fixtureBatch()));
    expectClose([stats["referenceKl"]!, loss], [0.023177, -0.046439]);
  });

  it("needs none without", () => {
    expect(recipe("grpo").requires).toEqual(["groups"]);
    expect(recipe("grpo").evaluateReference).toBeUndefined();
  });
});

describe("grpo's second clip", () => {
  it("bounds the loss of a ratio far above 1 where the advantage is negative", () => {
    const live = Float32Array.from(LIVE);
    live[3] = live[3]! + 3;
    const run = (bound: number | null) =>
      evaluated(recipe("grpo", { dualClip: bound }), undefined, {}, { live: { logprob: live } });
    const free = run(null);
    const bounded = run(2);
    // Row 2 has 2 steps of 4 rows; its step 0 loses −A·ρ without the bound and −A·c with it.
    const a = rowAdvantages(free.batch)[1]!;
    const ratio = Math.exp(live[3] - -0.9);
    expect(ratio).toBeGreaterThan(2);
    expectClose([bounded.loss - free.loss], [(-a * 2 + a * ratio) / 8], 1e-5);
    expect(free.cotangents.logprob![3]).toBeGreaterThan(1);
    expect(bounded.cotangents.logprob![3]).toBe(0);
  });
});

describe("reinforce-pp with a reference policy", () => {
  it("takes the KL to go away from what is whitened", () => {
    const found = recipe("reinforce-pp", { groupBaseline: false, klCoefficient: 0.01 });
    expect(found.requires).toEqual(["groups", "reference"]);
    const { batch } = evaluated(found, withReference(fixtureBatch()));
    expectClose(batch.step["advantages"]!, [
      ...[1.161652, 1.162039, 1.161459, -0.77666, -0.77666],
      ...[-0.773177, -0.773951, -0.77279, -0.774338, 1.162426],
    ]);
  });

  it("passes over masked steps", () => {
    const params = { groupBaseline: false, klCoefficient: 0.01 };
    const full = withReference(fixtureBatch([1, 0], [0, 3, 5]));
    const gap = withReference(fixtureBatch([1, 0], [0, 4, 6]));
    const move = (column: Float64Array): Float64Array =>
      Float64Array.from([0, 1, 1, 2, 3, 4], (t) => column[t]!);
    const step = Object.fromEntries(Object.entries(full.step).map(([name, x]) => [name, move(x)]));
    const masked = { ...gap, mask: Uint8Array.of(1, 0, 1, 1, 1, 1), step };
    const a = evaluated(recipe("reinforce-pp", params), full).batch.step["advantages"]!;
    const b = evaluated(recipe("reinforce-pp", params), masked).batch.step["advantages"]!;
    expectClose(
      b.filter((_, t) => t !== 1),
      [...a],
      1e-12,
    );
  });

  it("with the group's mean away has it in the loss, as k2", () => {
    const found = recipe("reinforce-pp", { klCoefficient: 0.1 });
    const batch = withReference(fixtureBatch());
    const { stats, loss } = evaluated(found, batch);
    const d = [...LIVE].map((x, t) => x - batch.step["referenceLogprobs"]![t]!);
    const k2 = d.reduce((sum, x) => sum + (x * x) / 2, 0) / 10;
    expectClose([stats["referenceKl"]!, loss - stats["policyLoss"]!], [k2, 0.1 * k2]);
  });
});

describe("bnpo", () => {
  const scores = [37, 12, 90, 500];

  it("refuses scores outside their bounds, and says what to set", () => {
    const run = (): unknown => evaluated(recipe("bnpo"), fixtureBatch(scores));
    expect(run).toThrow(SkeinError);
    expect(run).toThrow(/got 37: set recipe.params.minScore and recipe.params.maxScore/);
    expect(() => recipe("bnpo", { minScore: 1 })).toThrow(
      /recipe.params.maxScore above minScore, got 1 and 1/,
    );
  });

  it("maps scores to success within their bounds", () => {
    const bounded = recipe("bnpo", { maxScore: 500 });
    const found = rowAdvantages(evaluated(bounded, fixtureBatch(scores)).batch);
    const mean = (37 + 12 + 90 + 500) / 4;
    expectClose(
      found,
      scores.map((score) => (score - mean) / 500),
    );
  });

  it("takes what float32 sums beyond a bound for the bound", () => {
    const found = rowAdvantages(evaluated(recipe("bnpo"), fixtureBatch([1 + 1e-7, 0, -1e-7, 1])).batch);
    expectClose(found, [0.5, -0.5, -0.5, 0.5]);
  });
});

describe("dapo", () => {
  it("has the wider clip above and counts every step the same", () => {
    const { loss, cotangents } = evaluated(recipe("dapo"));
    expectClose([loss], [0.151305]);
    expectClose(cotangents.logprob!, [
      ...[-0.09571, -0.082379, 0, 0, 0.100618, 0.091043, 0.129196, 0, 0.086602, -0.105776],
    ]);
    expect(recipe("dapo", { dualClip: 2 }).terms[0]!.id).toBe("policyLoss");
    const out = { loss: new Float64Array(1), gate: new Float64Array(1) };
    const one = (x: number): Float64Array => Float64Array.of(x);
    dualClip({ low: 0.2, high: 0.28, c: 10 })(
      { logprobs: one(0), logRatios: one(Math.log(20)), advantages: one(-1) },
      out,
    );
    expect(out.loss[0]).toBe(10);
  });

  it("penalises rows from the buffer on", () => {
    const overlong = { maxLength: 20480, buffer: 4096, factor: 1 };
    const lengths = [16000, 16384, 18432, 20480, 22000];
    expectClose(
      lengths.map((length) => overlongPenalty(length, overlong)),
      [0, 0, -0.5, -1, -1.371094],
    );
    // Rows of 3, 2, 4 and 1 steps lose 0.5, 0, 1 and 0.
    const { batch } = evaluated(recipe("dapo", { maxLength: 4, overlongBuffer: 2 }));
    const plain = evaluated(recipe("grpo"), fixtureBatch([0.5, 0, -1, 1]));
    expectClose(rowAdvantages(batch), rowAdvantages(plain.batch), 1e-12);
  });

  it("learns nothing from rows that a limit cut, which count in their group", () => {
    const cut = withColumns(fixtureBatch(), { row: { truncated: Float64Array.of(0, 0, 1, 0) } });
    const { batch, cotangents } = evaluated(recipe("dapo", { overlongFilter: true }), cut);
    expectClose(rowAdvantages(batch), [0.866024, -0.866024, -0.866024, 0.866024]);
    expectClose(
      cotangents.logprob!,
      [-0.09571, -0.082379, 0, 0, 0.100618, 0, 0, 0, 0, -0.105776].map((x) => (x * 10) / 6),
    );
  });

  it("lets groups enter whose scores differ", () => {
    const { filter } = recipe("dapo").sampler;
    expect(filter!.keep(Float64Array.of(1, 0, 1))).toBe(true);
    expect(filter!.keep(Float64Array.of(1, 1, 1))).toBe(false);
    expect(recipe("dapo", { filterEqualScores: false }).sampler.filter).toBeUndefined();
  });
});

describe("copo", () => {
  /** The fixture as prompt 1, answers (2, 1, 1); prompt 2 failed four times with one answer, in rows without chosen steps. */
  function twoPrompts(): Batch {
    const offsets = [0, 3, 5, 9, 10, 11, 12, 13, 14];
    const batch = fixtureBatch([1, 0, 0, 1, 0, 0, 0, 0], offsets, [1, 1, 1, 1, 2, 2, 2, 2]);
    const answer = Float64Array.of(4, 5, 6, 4, 9, 9, 9, 9);
    const mask = batch.mask.map((m, t) => (t < 10 ? m : 0));
    return withColumns({ ...batch, mask }, { row: { answer } });
  }
  const live = { logprob: Float32Array.from({ length: 14 }, (_, t) => LIVE[t] ?? 0) };
  const run = (params: Readonly<Record<string, unknown>>) =>
    evaluated(recipe("copo", params), twoPrompts(), {}, { live });
  const ofPrompts = (column: Float64Array): number[] => [column[0]!, column[10]!];

  it("compares groups, and weighs by the entropy of their answers", () => {
    const { step } = run({ weighting: "soft" }).batch;
    expectClose(ofPrompts(step["globalAdvantages"]!), [0.707105, -0.707105]);
    expectClose(ofPrompts(step["localWeights"]!), [0.924142, 0.006693]);
    // R = [.5·(1 − .375·1.5), 0]: two groups are one standard deviation apart whatever R is, but for ε.
    const rewarded = run({ weighting: "soft", consistencyReward: true, stdEpsilon: 1 }).batch.step;
    const std = 0.21875 / Math.SQRT2;
    expectClose(ofPrompts(rewarded["globalAdvantages"]!), [0.109375 / (std + 1), -0.109375 / (std + 1)]);
  });

  it("has two surrogates, not one of a mixed advantage", () => {
    expectClose([run({ weighting: "only-local" }).loss], [-0.047366]);
    expectClose([run({ weighting: "only-global" }).loss], [-0.751972]);
    expectClose([run({ weighting: "soft" }).loss], [-0.100816]);
    expectClose([run({}).loss], [-0.835885]);
  });

  it("compares nothing where there is one group", () => {
    const { step } = evaluated(recipe("copo"), fixtureBatch()).batch;
    expectClose(step["globalAdvantages"]!, new Array<number>(10).fill(0));
  });
});
