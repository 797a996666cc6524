/** Methods that regress log-probabilities to a target, against numbers that were worked out by hand. */
import { describe, expect, it } from "vitest";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { evaluated, fixtureBatch, perRow } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

/** ℓ^r − ℓ^o of the fixture. */
const REFERENCE = [-0.02, 0.03, 0.05, 0, -0.1, 0.04, -0.06, 0.08, 0.02, 0.1];

function withReference(batch: Batch, fromOld: readonly number[] = REFERENCE): Batch {
  const referenceLogprobs = batch.step["oldLogprobs"]!.map((old, t) => old + fromOld[t]!);
  return withColumns(batch, { step: { referenceLogprobs } });
}

describe("nft", () => {
  it("has the loss and the gates of the implicit negative policy", () => {
    const { loss, cotangents } = evaluated(recipe("nft"));
    expectClose([loss], [-0.00049]);
    const gates = [-0.5, -0.5, -0.5, 0.318867, 0.580917, 0.525636, 0.745912, 0.294167, 0.5, -0.5];
    expectClose(
      cotangents.logprob!.map((x) => 1000 * x),
      gates,
    );
  });

  it("weighs groups by their success rate, and failures by a weight of their own", () => {
    // q = 1/4: 1 − q = .75, √(q' /q) = √3; on policy the negative gate is q/(1 − q) = 1/3.
    const onPolicy = { logprob: Float32Array.from(fixtureBatch().step["oldLogprobs"]!) };
    const gatesOf = (params: Readonly<Record<string, unknown>>): ArrayLike<number> =>
      evaluated(recipe("nft", params), fixtureBatch([1, 0, 0, 0]), {}, { live: onPolicy }).cotangents
        .logprob!;
    const expected = (success: number, failure: number): number[] =>
      perRow([success, failure, failure, failure].map((x) => x / 1000));
    expectClose(gatesOf({ weighting: "none" }), expected(-1, 1 / 3), 1e-9);
    expectClose(gatesOf({}), expected(-0.75, 0.25), 1e-9);
    const root = Math.sqrt(3);
    expectClose(gatesOf({ weighting: "standard-deviation" }), expected(-root, root / 3), 1e-9);
    expectClose(gatesOf({ negativeWeight: 0.5 }), expected(-0.75, 0.125), 1e-9);
    expectClose(gatesOf({ leastRatio: 4 }), expected(-0.75, 0.25 / 4), 1e-9);
  });

  it("admits groups that neither succeed nor fail whole", () => {
    const { filter } = recipe("nft", { successScore: 10 }).sampler;
    const keeps = (...scores: number[]): boolean => filter!.keep(Float64Array.from(scores));
    expect([keeps(9, 10), keeps(9, 3), keeps(10, 11)]).toEqual([true, false, false]);
  });
});

describe("rover", () => {
  const log = (p: readonly number[]): number[] => p.map(Math.log);
  const OLD = [...log([0.5, 0.3, 0.2]), ...log([0.2, 0.2, 0.6])];
  const LIVE = [...log([0.55, 0.25, 0.2]), ...log([0.25, 0.15, 0.6])];
  /** Two rows whose mean score is .5 less than the first's; the second is of one step and on policy. */
  const batch = withColumns(fixtureBatch([1, 0], [0, 2, 3]), {
    step: {
      policies: Float64Array.from([...OLD, 0, 0, 0]),
      proximalLogprobs: Float64Array.of(OLD[0]!, OLD[5]!, -1),
    },
  });
  const live = {
    logprob: Float32Array.of(LIVE[0]!, LIVE[5]!, -1),
    policy: Float32Array.from([...LIVE, 0, 0, 0]),
  };

  it("regresses to the mean over actions of what follows", () => {
    const { batch: derived, cotangents } = evaluated(recipe("rover"), batch, {}, { live });
    // 2·(target − Q), targets .478487 and .5, Q .095310 and 0; the other row 2·(−.5).
    expectClose(derived.step["advantages"]!, [2 * (0.478487 - 0.09531), 1, -1]);
    // As a loss of one row −.383177 and −.5; here of two.
    expectClose(cotangents.logprob!, [-0.383177 / 2, -0.25, 0.5]);
  });

  it("shifts logits as it likes, and leaves actions out that are not allowed", () => {
    const allowed = Uint8Array.of(1, 1, 1, 1, 1, 0, 1, 1, 1);
    const masked: Batch = { ...batch, inputs: { ...batch.inputs, actionMasks: allowed } };
    const policy = live.policy.map((logit, k) => (allowed[k] === 0 ? -1e9 : logit + (k < 3 ? 2 : -1)));
    const policies = masked.step["policies"]!.map((logit, k) => (allowed[k] === 0 ? -1e9 : logit));
    const { batch: derived } = evaluated(
      recipe("rover"),
      withColumns(masked, { step: { policies } }),
      {},
      { live: { ...live, policy } },
    );
    // s_2 allows two: mean of log(.25/.4) − log(.2/.4) and log(.15/.4) − log(.2/.4)
    const following = (Math.log(0.25 / 0.2) + Math.log(0.15 / 0.2)) / 2;
    expectClose([derived.step["advantages"]![0]!], [2 * (0.5 + following - Math.log(1.1))]);
  });

  it("counts in units of its temperature, and passes over steps that the policy did not choose", () => {
    const masked: Batch = { ...batch, mask: Uint8Array.of(1, 0, 1) };
    const { batch: derived } = evaluated(recipe("rover", { temperature: 3 }), masked, {}, { live });
    expectClose(derived.step["advantages"]!, [6 * (0.5 - 3 * Math.log(1.1)), 0, -3]);
  });
});

describe("a-star-po", () => {
  const task = (tasks: readonly number[]) => ({ row: { task: Float64Array.from(tasks) } });

  it("knows V* of each task after stage 1, and sees no more after it", () => {
    const values = (beta1: number): Readonly<Record<string, number>> => {
      const tracker = recipe("a-star-po", { valueBatches: 2, beta1 }).trackers["optimalValues"]!;
      const offsets = [0, 1, 2, 3, 4];
      const batches = [
        withColumns(fixtureBatch([1, 0, 0, 1], offsets), task([1, 1, 1, 1])),
        withColumns(fixtureBatch([0, 0, 0, 1], offsets), task([1, 1, 1, 1])),
        withColumns(fixtureBatch([9, 9, 9, 9], offsets), task([1, 1, 2, 2])),
      ];
      const state = batches.reduce((seen, batch) => tracker.observe(seen, batch), tracker.initial);
      return tracker.read(JSON.parse(JSON.stringify(state)));
    };
    expectClose(Object.values(values(0.5)), [0.611284, 0.611284]);
    expectClose(Object.values(values(0)), [0.375, 0.375]);
    expect(Object.keys(values(0))).toEqual(["task1", "all"]);
  });

  it("gives a task that stage 1 did not see what all rows of stage 1 gave", () => {
    const chosen = recipe("a-star-po", { valueBatches: 1 });
    const tracker = chosen.trackers["optimalValues"]!;
    const seen = withColumns(fixtureBatch([1, 0, 3, 1]), task([1, 1, 2, 2]));
    const readings = { optimalValues: tracker.read(tracker.observe(tracker.initial, seen)) };
    const rows = withReference(withColumns(fixtureBatch([0, 0, 0, 0]), task([1, 2, 3, 1])));
    const { batch } = evaluated(chosen, rows, {}, { readings });
    const psi = [0.29, 0, 0.07, 0.1];
    const soft = (...scores: number[]): number =>
      0.5 * Math.log(scores.reduce((sum, r) => sum + Math.exp(r / 0.5), 0) / scores.length);
    const values = [soft(1, 0), soft(3, 1), soft(1, 0, 3, 1), soft(1, 0)];
    expectClose(
      batch.step["advantages"]!.map((a) => a / 2e-3),
      perRow(values.map((v, i) => -v - 1e-3 * psi[i]!)),
    );
  });

  it("pulls rows towards their advantage over V*", () => {
    const readings = { optimalValues: { task1: 0.611284, all: 9 } };
    const { cotangents } = evaluated(recipe("a-star-po"), withReference(fixtureBatch()), {}, { readings });
    expectClose(cotangents.logprob!, perRow([-0.000194, 0.000306, 0.000306, -0.000194]), 5e-7);
  });

  it("trains nothing in stage 1, and nothing without it", () => {
    expect(recipe("a-star-po", { valueBatches: 7 }).update.observeBatches).toBe(7);
    expect(() => evaluated(recipe("a-star-po"), withReference(fixtureBatch()))).toThrow(
      /optimalValues has seen no score/,
    );
  });
});

describe("copg", () => {
  it("compares the rows of a group", () => {
    // Ψ = .8 and −.3 over rows of two and three steps, r = 1 and .2, β = .06: R_β = .952 and .218.
    const old = fixtureBatch([1, 0.2], [0, 2, 5]);
    const fromLive = [0.3, 0.5, -0.1, -0.1, -0.1];
    const live = { logprob: Float32Array.from(old.step["oldLogprobs"]!) };
    const batch = withReference(
      old,
      fromLive.map((x) => -x),
    );
    const { cotangents, batch: derived } = evaluated(recipe("copg"), batch, {}, { live });
    expectClose(derived.step["advantages"]!, [0.734, 0.734, -0.734, -0.734, -0.734]);
    // One pair of two rows: mean over rows.
    expectClose(cotangents.logprob!, [-0.367, -0.367, 0.367, 0.367, 0.367]);
  });

  it("compares groups apart, and keeps them whole", () => {
    const batch = withReference(fixtureBatch([1, 0, 0, 1], undefined, [1, 1, 2, 2]));
    const { batch: derived } = evaluated(recipe("copg", { beta: 0 }), batch);
    expectClose(derived.step["advantages"]!, perRow([1, -1, -1, 1]));
    expect(recipe("copg").update.minibatchesOf).toBe("groups");
  });
});

describe("shiq", () => {
  /** One row of three steps; two logits that are equal have log Σ exp = logit + log 2. */
  const logits = (...partitions: number[]): number[] =>
    partitions.flatMap((z) => [z - Math.log(2), z - Math.log(2)]);
  const old = fixtureBatch([1], [0, 3]);
  const batch = withColumns(old, {
    step: {
      rewards: Float64Array.of(0, 0, 1),
      referenceLogprobs: Float64Array.of(-0.7, -0.9, -0.6),
      referencePolicies: Float64Array.from(logits(2, 2, 2)),
    },
  });
  const live = {
    logprob: Float32Array.of(-0.5, -1, -0.3),
    policy: Float32Array.from(logits(2.1, 1.8, 2.4)),
  };

  it("has the residuals and the cotangents of the squared Bellman error", () => {
    const { batch: derived, cotangents } = evaluated(recipe("shiq"), batch, {}, { live });
    expectClose(derived.step["residuals"]!, [0.95, 1, 0.93]);
    expectClose(cotangents.logprob!, [-0.19, -0.39, -0.576]);
    // ∂log Z/∂logit = ½ for each of two equal logits.
    const half = [-0.19, -0.2, -0.186].map((x) => x / 2);
    expectClose(
      cotangents.policy!,
      half.flatMap((x) => [x, x]),
    );
  });

  it("passes over steps that the policy did not choose", () => {
    const masked: Batch = { ...batch, mask: Uint8Array.of(1, 0, 1) };
    const { batch: derived, cotangents } = evaluated(recipe("shiq"), masked, {}, { live });
    // Suffixes .97 − .02 and .97
    expectClose([derived.step["residuals"]![0]!, derived.step["residuals"]![2]!], [0.94, 0.93]);
    expectClose(cotangents.logprob!, [-0.188, 0, -0.374]);
    expectClose([cotangents.policy![2]!, cotangents.policy![3]!], [0, 0]);
  });
});
