/** Modifiers: each against numbers worked out by hand, and all of them with every method. */
import { describe, expect, it } from "vitest";
import { tokenMean } from "../../core/algo/aggregate.js";
import { SkeinError } from "../../core/errors.js";
import { Random } from "../../core/random.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { checkRecipe } from "../../core/slots/check.js";
import { deriveColumns } from "../../core/slots/evaluate.js";
import {
  findModifier,
  modifierDefinitions,
  recipeDefinitions,
  resolveRecipe,
} from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { F } from "../algo/fixture.js";
import { evaluated, fixtureBatch, LIVE } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

type Params = Readonly<Record<string, unknown>>;

function modified(recipe: Recipe, id: string, params: Params = {}): Recipe {
  const modifier = findModifier(id);
  const changed = modifier.apply(recipe, modifier.params.parse(params));
  checkRecipe(changed);
  return changed;
}

const grpo = resolveRecipe({ id: "grpo", params: {} });

/** GRPO with every step counting the same, as the worked numbers have it. */
const grpoByStep: Recipe = {
  ...grpo,
  terms: grpo.terms.map((term) => ({ ...term, aggregator: tokenMean() })),
};

/** The fixture as it was collected: by a behaviour policy that is not the proximal one. */
function offPolicy({
  lag = 0,
  behavior = F.behaviorLogprobs,
}: { lag?: number; behavior?: Float64Array } = {}): Batch {
  const batch = fixtureBatch();
  const columns = {
    behaviorLogprobs: behavior,
    oldLogprobs: behavior,
    proximalLogprobs: batch.step["oldLogprobs"]!,
    policyLags: new Float64Array(10).fill(lag),
  };
  return withColumns(batch, { step: columns });
}

const weightsOf = ({ batch }: ReturnType<typeof evaluated>): Float64Array => batch.step["importanceWeights"]!;

describe("tis", () => {
  it("truncates the weight of each step at 2", () => {
    const found = evaluated(modified(grpoByStep, "tis"), offPolicy());
    expectClose(weightsOf(found), [1.020201, 0.970446, 2, 1, 1.051271, 0.904837, 1, 0.548812, 1.01005, 1]);
    expectClose([found.loss], [0.022772]);
  });

  it("weighs whole rows by the sum or the mean of their log-ratios", () => {
    const sum = evaluated(modified(grpoByStep, "tis", { weightLevel: "row-sum" }), offPolicy());
    expectClose(
      [0, 3, 5, 9].map((t) => weightsOf(sum)[t]!),
      [2, 1.051271, 0.501576, 1],
    );
    expectClose([sum.loss], [-0.300682]);
    const mean = evaluated(modified(grpoByStep, "tis", { weightLevel: "row-mean" }), offPolicy());
    const means = [0.89 / 3, 0.05 / 2, -0.69 / 4, 0].map(Math.exp);
    expectClose(
      [0, 3, 5, 9].map((t) => weightsOf(mean)[t]!),
      means,
    );
  });

  it("leaves out what lies outside a window (IcePop), and clamps into it", () => {
    const window = { weightMin: 0.5, weightMax: 2 };
    const masked = evaluated(modified(grpoByStep, "tis", { weightBound: "mask", ...window }), offPolicy());
    expect(weightsOf(masked)[2]).toBe(0);
    expectClose([masked.loss], [0.230617]);
    const clamp = { weightBound: "clamp", weightMin: 0.6, weightMax: 2 };
    const clamped = weightsOf(evaluated(modified(grpoByStep, "tis", clamp), offPolicy()));
    expectClose([clamped[2]!, clamped[7]!], [2, 0.6]);
  });

  it("takes ratios to the weights that seal the batch", () => {
    const { cotangents } = evaluated(modified(grpo, "tis"), offPolicy());
    const plain = evaluated(grpo).cotangents.logprob!;
    const weights = [1.020201, 0.970446, 2, 1, 1.051271, 0.904837, 1, 0.548812, 1.01005, 1];
    expectClose(
      cotangents.logprob!,
      weights.map((w, t) => w * plain[t]!),
    );
  });

  it("refuses a window that is none", () => {
    expect(() => modified(grpo, "tis", { weightMin: 3 })).toThrow(
      /expected weightMin below weightMax, 2, got 3/,
    );
  });
});

describe("decoupled-ppo", () => {
  it("keeps weights up to its cap as they are, and leaves out what is above", () => {
    const free = evaluated(modified(grpoByStep, "decoupled-ppo"), offPolicy());
    const weights = [1.020201, 0.970446, 2.459603, 1, 1.051271, 0.904837, 1, 0.548812, 1.01005, 1];
    expectClose(weightsOf(free), weights);
    expectClose([free.loss], [-0.024992]);
    const capped = evaluated(modified(grpoByStep, "decoupled-ppo", { weightCap: 2 }), offPolicy());
    expectClose(
      weightsOf(capped),
      weights.map((w) => (w > 2 ? 0 : w)),
    );
    // The denominator still counts the step: w·loss of step 2 is all that is missing.
    const advantage = 0.866024;
    expectClose([capped.loss - free.loss], [(2.459603 * advantage * 1.2) / 10]);
  });

  it("interpolates the proximal policy by versions: 6, 9, 10", () => {
    const recipe = modified(grpo, "decoupled-ppo", { proximal: "interpolated", weightCap: null });
    expect(recipe.evaluate).toEqual([]);
    const { batch } = evaluated(recipe, offPolicy({ lag: 3 }));
    const proximal = [-0.43, -1.23, -0.6, -1.0875, -0.3, -1.4375, -0.5, -0.775, -1.0025, -0.45];
    expectClose(batch.step["oldLogprobs"]!, proximal);
    expectClose(
      batch.step["importanceWeights"]!,
      proximal.map((x, t) => Math.exp(x - F.behaviorLogprobs[t]!)),
    );
  });

  it("interpolates no rows where minibatches are of steps", () => {
    const ppo = resolveRecipe({ id: "ppo", params: {} });
    expect(() =>
      modified(ppo, "decoupled-ppo", { proximal: "interpolated", weightLevel: "row-sum" }),
    ).toThrow(/recipe ppo has minibatches of single steps: set weightLevel: token or proximal: recomputed/);
  });
});

describe("with the proximal policy the one that acted", () => {
  const onPolicy = (): Batch => offPolicy({ behavior: fixtureBatch().step["oldLogprobs"]! });
  it.each([
    ["tis", {}],
    ["tis", { weightLevel: "row-sum", weightBound: "mask", weightMin: 0.5 }],
    ["tis", { weightLevel: "row-mean", weightBound: "clamp", weightMin: 0.5 }],
    ["decoupled-ppo", {}],
    ["decoupled-ppo", { proximal: "interpolated" }],
    ["decoupled-ppo", { weightLevel: "row-sum", normalizeWeights: true }],
  ])("%s %o has weights of 1 and changes nothing", (id, params) => {
    for (const base of [
      grpo,
      resolveRecipe({ id: "gspo", params: {} }),
      resolveRecipe({ id: "gmpo", params: {} }),
    ]) {
      const found = evaluated(modified(base, id, params), onPolicy());
      expect([...weightsOf(found)]).toEqual(new Array<number>(10).fill(1));
      const plain = evaluated(base);
      expect(found.loss).toBe(plain.loss);
      expect(found.cotangents).toEqual(plain.cotangents);
    }
  });
});

describe("reference-kl and entropy-bonus", () => {
  it("adds β times the mean k3 to the reference, and its gradient", () => {
    const recipe = modified(grpo, "reference-kl", { klCoefficient: 0.5 });
    expect(recipe.requires).toEqual(["groups", "reference"]);
    const batch = withColumns(fixtureBatch(), { step: { referenceLogprobs: F.refLogprobs } });
    const found = evaluated(recipe, batch);
    expectClose([found.stats["referenceKl"]!], [0.028049]);
    const plain = evaluated(grpo);
    expectClose([found.loss - plain.loss], [0.5 * 0.028049]);
    const gates = F.refLogprobs.map((ref, t) => 1 - Math.exp(ref - LIVE[t]!));
    const added = found.cotangents.logprob!.map((x, t) => x - plain.cotangents.logprob![t]!);
    expectClose(
      added,
      [...gates].map((gate) => (0.5 * gate) / 10),
    );
  });

  it("adds the bonus", () => {
    const entropy = Float32Array.from([0.8, 1.5, 0.4, 1.1, 0.6, 1.9, 0.3, 0.9, 1.3, 0.7]);
    const recipe = modified(grpo, "entropy-bonus", { entropyCoefficient: 0.1 });
    const found = evaluated(recipe, fixtureBatch(), {}, { live: { entropy } });
    expectClose([found.loss - evaluated(grpo).loss], [-0.1 * 0.95]);
    expectClose(found.cotangents.entropy!, new Array<number>(10).fill(-0.01));
  });
});

describe("dynamic-sampling and replay", () => {
  it("keeps groups whose scores differ", () => {
    const { sampler, requires } = modified(resolveRecipe({ id: "ppo", params: {} }), "dynamic-sampling");
    expect(requires).toEqual(["value", "groups"]);
    const { keep, reason, maxBatches } = sampler.filter!;
    expect([reason, maxBatches]).toEqual(["equalScores", 30]);
    const kept = [[0, 0, 0], [1, 1], [3], [0, 0, 1], [1, 1 + 1e-9]];
    expect(kept.map((scores) => keep(Float64Array.from(scores)))).toEqual([false, false, true, true, true]);
  });

  it("replays a share of the whole batch", () => {
    expect(modified(grpo, "replay", { replayShare: 0.25, replayBatches: 3 }).replay).toEqual({
      batches: 3,
      share: 1 / 3,
    });
  });
});

describe("pf-ppo", () => {
  // Three groups, scattered; scores and group numbers are told apart by the row column `mark`.
  const scores = [0.9, 5, 0.1, -0.4, 5, 0.6, 2, 7];
  const groups = [1, 2, 1, 1, 2, 1, 3, 2];
  const batch = withColumns(fixtureBatch(scores, scores.map((_, i) => i).concat(8), groups), {
    row: { mark: Float64Array.from(scores, (_, i) => i) },
  });
  const drawn = (params: Params, seed: number): Batch =>
    deriveColumns(modified(grpo, "pf-ppo", params), "seal", batch, {
      ...{ readings: {}, live: {}, random: new Random(seed) },
    });

  it("draws from each group as many as it had, by its scores, with the advantages they came with", () => {
    const plain = deriveColumns(grpo, "seal", batch, { readings: {}, live: {}, random: new Random(1) });
    const counts = new Float64Array(8);
    const rounds = 2000;
    for (let seed = 0; seed < rounds; seed++) {
      const { row, step, offsets } = drawn({}, seed);
      const sizes = [1, 2, 3].map((group) => row["group"]!.filter((g) => g === group).length);
      expect(sizes).toEqual([4, 3, 1]);
      row["mark"]!.forEach((mark, k) => {
        counts[mark]!++;
        expect(step["advantages"]![offsets[k]!]).toBe(plain.step["advantages"]![mark]);
      });
    }
    // n·p of each row; the standard deviation of a mean of 2000 rounds is at most √(4·¼/2000) = 0.022.
    const expected = [2, 0.75, 2 / 3, 2 / 3, 0.75, 2 / 3, 1, 1.5];
    expectClose(
      counts.map((count) => count / rounds),
      expected,
      0.09,
    );
  });

  it("draws the same for the same seed, and from the whole batch where told so", () => {
    const marks = (seed: number): number[] => [...drawn({ resampleWithin: "batch" }, seed).row["mark"]!];
    expect(marks(7)).toEqual(marks(7));
    expect(marks(7)).not.toEqual(marks(8));
    const best = drawn({ resampleWithin: "batch", resampling: "best" }, 1);
    expect([...best.row["mark"]!]).toEqual(new Array<number>(8).fill(7));
    expect(
      modified(resolveRecipe({ id: "ppo", params: {} }), "pf-ppo", { resampleWithin: "batch" }).requires,
    ).toEqual(["value"]);
  });
});

describe("every modifier with every method", () => {
  const pairs = recipeDefinitions.flatMap(({ id }) =>
    modifierDefinitions.map((modifier) => [id, modifier.id] as const),
  );

  it.each(pairs)("%s with %s is whole, or says why it is not", (id, modifier) => {
    const plain = resolveRecipe({ id, params: {} });
    let changed: Recipe;
    try {
      changed = resolveRecipe({ id, params: {}, modifiers: [{ id: modifier, params: {} }] });
    } catch (error) {
      expect(error).toBeInstanceOf(SkeinError);
      const { code, message } = error as SkeinError;
      expect(code).toBe("RECIPE_INVALID");
      expect(message.startsWith(`modifier ${modifier}: recipe ${id} `)).toBe(true);
      return;
    }
    expect(changed).not.toEqual(plain);
    expect(changed.id).toBe(id);
    expect(changed.requires).toEqual(expect.arrayContaining([...plain.requires]));
  });

  it("corrects every method that takes a ratio to the old policy, but one that is corrected already", () => {
    for (const { id } of recipeDefinitions) {
      const plain = resolveRecipe({ id, params: {} });
      const ratios = plain.terms.filter(({ needs }) => needs.includes("oldLogprobs"));
      const own = plain.derive.some(({ writes }) => writes.includes("oldLogprobs"));
      if (ratios.length === 0 || own) continue;
      const { terms, evaluate } = resolveRecipe({ id, params: {}, modifiers: [{ id: "tis", params: {} }] });
      expect(evaluate, id).toContain("logprob");
      for (const term of terms) {
        const weighed = (term.weights ?? []).includes("importanceWeights");
        expect(weighed, `${id}: ${term.id}`).toBe(term.needs.includes("oldLogprobs"));
      }
    }
  });

  it("takes several at once, in the order given", () => {
    const modifiers = ["tis", "dynamic-sampling", "pf-ppo", "reference-kl", "entropy-bonus", "replay"];
    const recipe = resolveRecipe({
      id: "grpo",
      params: {},
      modifiers: modifiers.map((id) => ({ id, params: {} })),
    });
    expect(recipe.requires).toEqual(["groups", "reference"]);
    expect(recipe.derive.map(({ id }) => id)).toEqual([
      ...["recomputeOldLogprobs", "importanceWeights", "groupAdvantages", "resample"],
    ]);
    expect(recipe.terms.map(({ id }) => id)).toEqual(["policyLoss", "referenceKl", "entropyLoss"]);
  });

  it.each([
    [["tis", "decoupled-ppo"], /modifier decoupled-ppo: recipe grpo has another old policy already/],
    [["replay", "replay"], /modifier replay: recipe grpo replays already/],
    [["dynamic-sampling", "dynamic-sampling"], /recipe grpo filters groups already \(equalScores\)/],
    [["reference-kl", "reference-kl"], /recipe grpo has a penalty of its own/],
  ])("refuses %o", (ids, message) => {
    const modifiers = ids.map((id) => ({ id, params: {} }));
    expect(() => resolveRecipe({ id: "grpo", params: {}, modifiers })).toThrow(message);
  });

  it("refuses one that does not exist with the nearest, and a wrong parameter with its place", () => {
    const of = (id: string, params: Params) => () =>
      resolveRecipe({
        id: "grpo",
        params: {},
        modifiers: [
          { id: "replay", params: {} },
          { id, params },
        ],
      });
    expect(of("tiss", {})).toThrow('recipe.modifiers: no modifier "tiss". Did you mean "tis"?');
    expect(of("tis", { weightMaxx: 1 })).toThrow(
      'modifier tis: unknown key "recipe.modifiers.1.params.weightMaxx". Did you mean "weightMax"?',
    );
  });

  it("has ids of its own, each once", () => {
    expect(new Set(modifierDefinitions.map(({ id }) => id)).size).toBe(modifierDefinitions.length);
  });
});
