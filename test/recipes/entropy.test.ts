/** Methods that choose steps by covariance or entropy, against numbers that were worked out by hand. */
import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { deriveColumns, evaluateTerms } from "../../core/slots/evaluate.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Readings, Recipe } from "../../core/slots/recipe.js";
import { evaluated, fixtureBatch, LIVE } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const ENTROPIES = Float32Array.of(0.8, 1.5, 0.4, 1.1, 0.6, 1.9, 0.3, 0.9, 1.3, 0.7);

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

/** The fixture's loss after the derives that choose at random began with `seed`. */
function lossFrom(seed: number, chosen: Recipe): number {
  const context = { readings: {}, live: {}, random: new Random(seed) };
  const sealed = deriveColumns(chosen, "seal", fixtureBatch(), context);
  return evaluateTerms(chosen, sealed, { logprob: LIVE }, context).loss;
}

describe("clip-cov", () => {
  const params = { clipLow: 0.2, clipHigh: 0.2, covLow: 0.2 };

  it("leaves out one of the two candidates, as likely either, and keeps it in the denominator", () => {
    const losses = Array.from({ length: 100 }, (_, seed) => lossFrom(seed, recipe("clip-cov", params)));
    const near = (x: number): number => losses.filter((loss) => Math.abs(loss - x) < 1.5e-6).length;
    const [first, sixth] = [near(0.255798), near(0.069045)];
    expect(first + sixth).toBe(100);
    // 50 ± 5 of 100; beyond 30 … 70 once in 10⁴ seeds.
    expect(first).toBeGreaterThan(30);
    expect(sixth).toBeGreaterThan(30);
  });

  it("leaves the same out for the same seed", () => {
    const losses = [1, 1].map((seed) => lossFrom(seed, recipe("clip-cov", params)));
    expect(losses[0]).toBe(losses[1]);
  });

  it("leaves out no more than there are candidates, and never a clipped step", () => {
    const { batch } = evaluated(recipe("clip-cov", { ...params, share: 1 }));
    expect([...batch.step["covarianceWeights"]!]).toEqual([0, 1, 1, 1, 1, 0, 1, 1, 1, 1]);
    const none = evaluated(recipe("clip-cov", { ...params, covLow: 1, share: 1 }));
    expectClose([none.loss], [0.160087]);
  });
});

describe("kl-cov", () => {
  it("holds the two steps of highest covariance", () => {
    const { loss, cotangents, batch } = evaluated(recipe("kl-cov", { share: 0.2 }));
    expect([...batch.step["highCovariance"]!]).toEqual([0, 0, 1, 0, 0, 1, 0, 0, 0, 0]);
    expectClose([loss], [0.173294]);
    expectClose(cotangents.logprob!, [
      ...[-0.09571, -0.082379, -0.016901, 0.067446, 0.100618],
      ...[0.191043, 0.129196, 0.064157, 0.086602, -0.105776],
    ]);
  });

  it("clips no ratio", () => {
    expectClose([evaluated(recipe("kl-cov", { share: 0.2, klCoefficient: 0 })).loss], [0.138294]);
  });
});

describe("epo", () => {
  /** H̄ = .9 at each step. */
  const flat: Readings = {
    entropyHistory: { coefficient: 1e-3, step0: 0.9, step1: 0.9, step2: 0.9, step3: 0.9 },
  };
  const params = { bandLow: 0.8, bandHigh: 1.2 };
  const onFixture = (readings: Readings, more = {}) =>
    evaluated(
      recipe("epo", { ...params, ...more }),
      fixtureBatch(),
      {},
      {
        readings,
        live: { entropy: ENTROPIES },
      },
    );

  it("has the band's hinge and, with the bonus, its cotangents on entropy", () => {
    const { stats, cotangents } = onFixture(flat);
    expectClose([stats["entropyBand"]!, stats["entropyLoss"]!], [0.236, -0.95]);
    const hinge = [0, 0.1, -0.1, 0.1, -0.1, 0.1, -0.1, 0, 0.1, -0.1];
    expectClose(
      cotangents.entropy!.map((x) => x * 1000),
      hinge.map((x) => x - 0.1),
    );
  });

  it("has no band where the past is not known", () => {
    const { stats } = onFixture({ entropyHistory: { coefficient: 1e-3, step0: 0.9 } });
    // Steps 1, 4, 6 and 10 are first steps: .8 in [.72, 1.08], 1.1, 1.9, .7: (0 + .02 + .82 + .02)/10
    expectClose([stats["entropyBand"]!], [0.086]);
  });

  it("remembers the mean of −log π at each step of earlier batches, and not of the newest", () => {
    const tracker = recipe("epo").trackers["entropyHistory"]!;
    const first = tracker.observe(tracker.initial, fixtureBatch());
    expect(tracker.read(first)).toEqual({ coefficient: 1e-3 });
    const masked: Batch = { ...fixtureBatch(), mask: Uint8Array.of(0, 1, 1, 1, 1, 1, 1, 1, 1, 1) };
    const second = tracker.observe(first, masked);
    const { coefficient, ...means } = tracker.read(second);
    // e = 1, M = 150: 1 − .2·(1 − exp(−2/150))
    expectClose([coefficient! * 1000], [1 - 0.2 * (1 - Math.exp(-1 / 75))]);
    // F's ℓ^o by step: (.5 + .9 + 1.5 + .6)/4, (1.2 + .4 + .8)/3, (.6 + .7)/2, 1
    expect(Object.keys(means)).toEqual(["step0", "step1", "step2", "step3"]);
    expectClose(Object.values(means), [0.875, 0.8, 0.65, 1]);
    const third = tracker.read(tracker.observe(second, fixtureBatch()));
    // Step 0 once more without the masked .5: (3.5 + 3)/(4 + 3)
    expectClose([third["step0"]!, third["step1"]!], [6.5 / 7, 0.8]);
    expect(JSON.parse(JSON.stringify(second))).toEqual(second);
  });

  it("lets the weight of the band fall: a little at first, to nothing in the end", () => {
    const { entropyHistory } = recipe("epo").trackers;
    const weight = (e: number): number =>
      entropyHistory!.read({ batches: e + 1, past: { counts: [], sums: [] } })["coefficient"]! * 1000;
    expectClose([0, 75, 76, 300].map(weight), [
      1,
      1 - 0.2 * (1 - Math.exp(-1)),
      0.8 * Math.exp(-1.52),
      0.8 * Math.exp(-6),
    ]);
  });

  it("refuses a band that ends below where it begins", () => {
    expect(() => recipe("epo", { bandLow: 3 })).toThrow(
      /expected recipe.params.bandLow ≤ bandHigh, got 3 and 2/,
    );
  });
});

describe("spine", () => {
  const withEntropies = withColumns(fixtureBatch(), {
    step: { entropies: Float64Array.from(ENTROPIES) },
    row: { answer: Float64Array.of(7, 8, 8, 7) },
  });
  const onFixture = (params = {}, batch = withEntropies) =>
    evaluated(recipe("spine", params), batch, {}, { live: { entropy: ENTROPIES } });

  it("trains the forks alone, and keeps their entropy in a band", () => {
    const { stats, batch, cotangents } = onFixture();
    expect([...batch.step["forks"]!]).toEqual([0, 1, 0, 1, 0, 1, 0, 0, 0, 1]);
    expectClose([batch.step["entropyLow"]![0]!, batch.step["entropyHigh"]![0]!], [0.82, 1.3]);
    expectClose([stats["policyLoss"]!, stats["entropyBand"]!], [-0.064943, 0.23]);
    // c = .01 over 4 forks: 1.5 and 1.9 above the band, .7 below, 1.1 in it.
    expectClose(
      cotangents.entropy!.map((x) => x * 400),
      [0, 1, 0, 0, 0, 1, 0, 0, 0, -1],
    );
  });

  it("scores rows by the vote of their group", () => {
    const scoresOf = (
      answers: readonly number[],
      members = [0, 1, 2, 3],
      groups = [1, 1, 1, 1],
    ): number[] => {
      const row = {
        answer: Float64Array.from(answers),
        member: Float64Array.from(members),
        group: Float64Array.from(groups),
      };
      return [...onFixture({}, withColumns(withEntropies, { row })).batch.row["score"]!];
    };
    expect(scoresOf([1, 2, 1, 3])).toEqual([1, 0, 1, 0]);
    expect(scoresOf([1, 2, 3, 3])).toEqual([0, 0, 1, 1]);
    // 1 and 2 twice each: the answer of the lowest member wins.
    expect(scoresOf([1, 2, 2, 1])).toEqual([1, 0, 0, 1]);
    expect(scoresOf([1, 2, 2, 1], [3, 2, 1, 0])).toEqual([1, 0, 0, 1]);
    expect(scoresOf([1, 2, 2, 1], [3, 0, 1, 2])).toEqual([0, 1, 1, 0]);
    // Groups vote apart.
    expect(scoresOf([1, 2, 2, 2], [0, 1, 0, 1], [1, 1, 2, 2])).toEqual([1, 0, 1, 1]);
    expect(scoresOf([NaN, NaN, 4, 4])).toEqual([0, 0, 1, 1]);
  });

  it("needs a reference policy only where the KL to it has a weight, on the forks", () => {
    expect(recipe("spine").requires).toEqual(["groups"]);
    expect(recipe("spine", { klCoefficient: 0.1 }).requires).toEqual(["groups", "reference"]);
    const referenceLogprobs = fixtureBatch().step["oldLogprobs"]!;
    const batch = withColumns(withEntropies, { step: { referenceLogprobs } });
    const { stats } = onFixture({ klCoefficient: 0.1 }, batch);
    const k3 = [-0.05, -0.25, 0.05, 0.2].map((d) => Math.exp(-d) + d - 1);
    expectClose([stats["referenceKl"]!], [k3.reduce((sum, x) => sum + x, 0) / 4]);
  });

  it("refuses a band that ends below where it begins", () => {
    expect(() => recipe("spine", { bandLow: 0.6 })).toThrow(/spine.*got 0.6 and 0.5/);
  });
});
