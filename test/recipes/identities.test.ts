/**
 * Methods that are another method in disguise, on random groups. Where a recipe takes the gradient of a loss by way of a live
 * advantage, its cotangents are compared with central differences of the loss as its paper has it; what the paper holds
 * constant is held at the batch's numbers.
 */
import { describe, expect, it } from "vitest";
import {
  aggregateWeights,
  deltaL,
  seqMeanTokenMean,
  seqMeanTokenSumNorm,
} from "../../core/algo/aggregate.js";
import { importanceSampling, ppoClip } from "../../core/algo/surrogates.js";
import { Random } from "../../core/random.js";
import { stepColumn, withColumns, type Batch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { policyTerm } from "../../core/recipes/parts/terms.js";
import { expectClose } from "./expect-close.js";
import { worst } from "./fixture.js";
import {
  chosenOf,
  derivedFrom,
  evaluateDerived,
  evaluateGroups,
  randomGroups,
  readingsOf,
  slopesOf,
  type GroupsShape,
} from "./random-groups.js";

const DRAWS = [1, 2, 3, 4, 5, 6, 7, 8];

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

const draw = (seed: number, shape: GroupsShape = {}): Batch => randomGroups(new Random(seed), shape);

const cotangentsOf = (chosen: Recipe, batch: Batch): Float64Array =>
  evaluateGroups(chosen, batch).cotangents.logprob!;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, x) => total + x, 0);

/** Ψ of each row. */
function psiOf(batch: Batch): number[] {
  const [live, reference] = [stepColumn(batch, "live logprob"), stepColumn(batch, "referenceLogprobs")];
  return chosenOf(batch).map((row) => sum(row.map((t) => live[t]! - reference[t]!)));
}

/** Pairs of rows of the same group. */
function pairsOf({ row: { group } }: Batch): [number, number][] {
  const rows = [...group!.keys()];
  return rows.flatMap((i) =>
    rows.filter((j) => i < j && group![i] === group![j]).map((j): [number, number] => [i, j]),
  );
}

const success: GroupsShape["score"] = (_random, row) => (row % 4 <= Math.floor(row / 4) % 3 ? 1 : 0);

describe("on random groups", () => {
  it.each(DRAWS)("A*-PO has the gradient of its squared residual (%i)", (seed) => {
    const chosen = recipe("a-star-po", { beta2: 0.3 });
    const batch = draw(seed);
    const values = readingsOf(chosen, batch)["optimalValues"]!;
    const loss = (at: Batch): number => {
      const residuals = psiOf(at).map(
        (psi, i) => 0.3 * psi + values[`task${batch.row["task"]![i]!}`]! - batch.row["score"]![i]!,
      );
      return sum(residuals.map((x) => x * x)) / residuals.length;
    };
    expectClose(cotangentsOf(chosen, batch), slopesOf(loss, batch, "logprob"), 1e-8);
  });

  it.each(DRAWS)("CoPG has the gradient of its sum over pairs, with β/2 there (%i)", (seed) => {
    const batch = draw(seed);
    const score = batch.row["score"]!;
    const loss = (at: Batch): number => {
      const psi = psiOf(at);
      const regularised = psi.map((x, i) => score[i]! - 0.4 * x);
      const pairs = pairsOf(batch).map(([i, j]) => (regularised[i]! - regularised[j]!) * (psi[i]! - psi[j]!));
      // Each of the 16 rows is in 3 pairs of its group.
      return -sum(pairs) / (3 * 16);
    };
    expectClose(cotangentsOf(recipe("copg", { beta: 0.8 }), batch), slopesOf(loss, batch, "logprob"), 1e-8);
  });

  it.each(DRAWS)("ROVER has the gradient of its squared error, targets held (%i)", (seed) => {
    const rho = 0.7;
    const batch = draw(seed);
    const { score, group } = batch.row;
    const meanLog = (policy: Float64Array, t: number): number => {
      const logits = [...policy.subarray(3 * t, 3 * t + 3)];
      return sum(logits) / 3 - Math.log(sum(logits.map(Math.exp)));
    };
    const policies = stepColumn(batch, "policies");
    const live = stepColumn(batch, "live policy");
    const targets = new Map<number, number>();
    chosenOf(batch).forEach((row, i) => {
      const others = [...score!.keys()].filter((j) => group![j] === group![i]).map((j) => score![j]!);
      const centred = score![i]! - sum(others) / others.length;
      row.forEach((t, k) => {
        const next = row[k + 1];
        const value = next === undefined ? 0 : rho * (meanLog(live, next) - meanLog(policies, next));
        targets.set(t, centred + value);
      });
    });
    const rows = chosenOf(batch).filter((row) => row.length > 0);
    const loss = (at: Batch): number => {
      const [logprobs, old] = [stepColumn(at, "live logprob"), stepColumn(at, "proximalLogprobs")];
      const error = (t: number): number => (rho * (logprobs[t]! - old[t]!) - targets.get(t)!) ** 2;
      return sum(rows.map((row) => sum(row.map(error)) / row.length)) / rows.length;
    };
    const chosen = recipe("rover", { temperature: rho });
    expectClose(cotangentsOf(chosen, batch), slopesOf(loss, batch, "logprob"), 1e-8);
    expect(evaluateGroups(chosen, batch).cotangents.policy).toBeUndefined();
  });

  it.each(DRAWS)(
    "ShiQ has the gradient of its squared Bellman error, on logprobs and logits (%i)",
    (seed) => {
      const [beta, gamma] = [0.3, 0.9];
      const batch = draw(seed);
      const rewards = stepColumn(batch, "rewards");
      const partition = (policy: Float64Array, t: number): number =>
        Math.log(sum([...policy.subarray(3 * t, 3 * t + 3)].map(Math.exp)));
      const loss = (at: Batch): number => {
        const [live, reference] = [stepColumn(at, "live logprob"), stepColumn(at, "referenceLogprobs")];
        const [policy, anchor] = [stepColumn(at, "live policy"), stepColumn(at, "referencePolicies")];
        const errors = chosenOf(at).map((row) =>
          sum(
            row.map((t, k) => {
              const rest = row
                .slice(k)
                .map((u, l) => gamma ** l * (rewards[u]! - beta * (live[u]! - reference[u]!)));
              return (sum(rest) - beta * (partition(policy, t) - partition(anchor, t))) ** 2;
            }),
          ),
        );
        return sum(errors) / errors.length;
      };
      const { cotangents } = evaluateGroups(recipe("shiq", { beta, gamma }), batch);
      expectClose(cotangents.logprob!, slopesOf(loss, batch, "logprob"), 1e-8);
      // What is linear in log Z has a slope of e_t alone, so that the logits' cotangents are whole.
      expectClose(cotangents.policy!, slopesOf(loss, batch, "policy"), 1e-8);
    },
  );

  it.each(DRAWS)("NFT on policy is Dr. GRPO, or GRPO with the population's deviation (%i)", (seed) => {
    const drawn = draw(seed, { groups: 3, score: success });
    const batch = withColumns(drawn, { step: { "live logprob": stepColumn(drawn, "oldLogprobs") } });
    const { score, group } = batch.row;
    const expected = (deviation: (rate: number) => number): number[] => {
      const out = new Array<number>(batch.mask.length).fill(0);
      chosenOf(batch).forEach((row, i) => {
        const rate = sum([...score!].filter((_, j) => group![j] === group![i])) / 4;
        for (const t of row) out[t] = -(score![i]! - rate) / deviation(rate) / 1000;
      });
      return out;
    };
    const root = (rate: number): number => Math.sqrt(rate * (1 - rate));
    const nft = (weighting: string): Float64Array => cotangentsOf(recipe("nft", { weighting }), batch);
    expectClose(
      nft("difficulty"),
      expected(() => 1),
      1e-15,
    );
    expectClose(nft("standard-deviation"), expected(root), 1e-15);
    const constant = cotangentsOf(recipe("dr-grpo", { maxLength: 1 }), batch);
    expectClose(
      nft("difficulty").map((x) => 1000 * x),
      constant.map((x) => 12 * x),
      1e-12,
    );
  });

  it.each(DRAWS)("BNPO is Dr. GRPO where α = β = 1, and GRPO's π/8 where they are 3/2 (%i)", (seed) => {
    const alike = draw(seed, { score: (_random, row) => (row % 4 < 2 ? 1 : 0) });
    const clip = { clipHigh: 0.2 };
    const bnpo = recipe("bnpo", { ...clip, dualClip: 1000 });
    // Success rates are all 1/2; Dr. GRPO divides by rows and a longest length of 1.
    expectClose(cotangentsOf(bnpo, alike), cotangentsOf(recipe("dr-grpo", { maxLength: 1 }), alike), 1e-12);
    // 1/4, 1/2 and 3/4: p̄ = 1/2, v = 1/16, a = b = 3/2, α = β = 3/2.
    const apart = draw(seed, { groups: 3, score: success });
    const grpo = recipe("grpo", { stdEpsilon: 1e-12 });
    const scaled = cotangentsOf(bnpo, apart).map((x) => x * (8 / Math.PI) * Math.sqrt(3 / 4));
    // GRPO's deviation is Bessel-corrected, √(4/3) of the population's, and its mean is over each row.
    const kappa = aggregateWeights(seqMeanTokenMean(), apart.mask, apart.offsets);
    const perStep = cotangentsOf(grpo, apart).map((x, t) => (apart.mask[t] === 0 ? 0 : x / kappa[t]! / 12));
    expectClose(scaled, perStep, 1e-9);
  });

  it.each(DRAWS)("CANON is Dr. GRPO where μ = 1/2 and halves are equal, and not elsewhere (%i)", (seed) => {
    const batch = draw(seed);
    const constant = cotangentsOf(recipe("dr-grpo"), batch);
    for (const metric of ["entropy", "length"]) {
      const canon = (mu: number, of = batch): Float64Array =>
        cotangentsOf(recipe("canon", { mu, metric, clipHigh: 0.2 }), of);
      expectClose(canon(0.5), constant, 1e-12);
      expect(worst(canon(0.8), constant)).toBeGreaterThan(1e-6);
      const odd = draw(seed, { size: 5 });
      expect(worst(canon(0.5, odd), cotangentsOf(recipe("dr-grpo"), odd))).toBeGreaterThan(1e-6);
    }
  });

  it.each(DRAWS)("ΔL is Dr. GRPO's constant where α = 0, and GRPO by a constant where α = 1 (%i)", (seed) => {
    const batch = draw(seed);
    const W = 7;
    const delta = (alpha: number): Float64Array =>
      cotangentsOf(recipe("delta-l", { alpha, maxLength: W, clipHigh: 0.2 }), batch);
    const grpo = cotangentsOf(recipe("grpo"), batch);
    const kappa = aggregateWeights(seqMeanTokenMean(), batch.mask, batch.offsets);
    const lengths = chosenOf(batch)
      .map((row) => row.length)
      .filter((length) => length > 0);
    const active = lengths.length;
    expectClose(
      delta(0),
      grpo.map((x, t) => (batch.mask[t] === 0 ? 0 : x / kappa[t]! / (active * W))),
      1e-12,
    );
    const harmonic = active / sum(lengths.map((length) => 1 / length));
    expectClose(
      delta(1),
      grpo.map((x) => (x * harmonic) / W),
      1e-12,
    );
    // The constants differ by rows without a chosen step, of which Dr. GRPO alone counts some.
    const whole = draw(seed, { masked: 0 });
    const constant = aggregateWeights(seqMeanTokenSumNorm(W), whole.mask, whole.offsets);
    expectClose(aggregateWeights(deltaL({ alpha: 0, width: W }), whole.mask, whole.offsets), constant, 1e-15);
  });

  it.each(DRAWS)("GSPO is PPO's clip of a ratio that is each row's own (%i)", (seed) => {
    const batch = draw(seed);
    const window = { clipLow: 0.05, clipHigh: 0.08 };
    const chosen = recipe("gspo", window);
    const { score, group } = batch.row;
    const old = stepColumn(batch, "oldLogprobs");
    const rows = chosenOf(batch);
    const active = rows.filter((row) => row.length > 0).length;
    const advantages = [...score!].map((r, i) => {
      const others = [...score!].filter((_, j) => group![j] === group![i]);
      const mean = sum(others) / 4;
      return (r - mean) / (Math.sqrt(sum(others.map((x) => (x - mean) ** 2)) / 3) + 1e-6);
    });
    const ratios = (at: Batch): number[] => {
      const live = stepColumn(at, "live logprob");
      return rows.map((row) => Math.exp(sum(row.map((t) => live[t]! - old[t]!)) / Math.max(1, row.length)));
    };
    const loss = (at: Batch): number => {
      const ofRows = ratios(at).map((s, i) => {
        const a = advantages[i]!;
        return rows[i]!.length === 0 ? 0 : Math.max(-a * s, -a * Math.min(Math.max(s, 0.95), 1.08));
      });
      return sum(ofRows) / active;
    };
    expectClose(cotangentsOf(chosen, batch), slopesOf(loss, batch, "logprob"), 1e-8);
    const token = new Float64Array(batch.mask.length);
    ratios(batch).forEach((s, i) => {
      const a = advantages[i]!;
      const clipped = a > 0 ? s > 1.08 : s < 0.95;
      for (const t of rows[i]!) token[t] = clipped ? 0 : (-a * s) / rows[i]!.length / active;
    });
    expectClose(cotangentsOf(chosen, batch), token, 1e-12);
  });
});

describe("corrections for the policy that acted", () => {
  /** Where the weights that seal the batch are those of the policy that acted, or of one `lag` nats away. */
  function actedBy(seed: number, lag: (t: number) => number): Batch {
    const batch = draw(seed);
    const proximalLogprobs = stepColumn(batch, "oldLogprobs");
    const behaviorLogprobs = proximalLogprobs.map((x, t) => x - lag(t));
    return withColumns(batch, {
      step: { proximalLogprobs, behaviorLogprobs, oldLogprobs: behaviorLogprobs },
    });
  }
  const grpo = (...modifiers: string[]): Recipe =>
    resolveRecipe({ id: "grpo", params: {}, modifiers: modifiers.map((id) => ({ id, params: {} })) });

  it.each(DRAWS)("change nothing where it is the one that is trained (%i)", (seed) => {
    const batch = actedBy(seed, () => 0);
    const plain = cotangentsOf(grpo(), batch);
    for (const id of ["tis", "decoupled-ppo"]) expect(cotangentsOf(grpo(id), batch)).toEqual(plain);
    const remix = recipe("remix", { klCoefficient: 0, entropyCoefficient: 0 });
    expectClose(cotangentsOf(remix, batch), plain, 1e-12);
  });

  it.each(DRAWS)("weigh each step by its own ratio, cut off at 2 or left out beyond 5 (%i)", (seed) => {
    const lagged = actedBy(seed, (t) => t % 3);
    const plain = cotangentsOf(
      grpo(),
      actedBy(seed, () => 0),
    );
    const weights = (...w: number[]): Float64Array => plain.map((x, t) => x * w[t % 3]!);
    expectClose(cotangentsOf(grpo("tis"), lagged), weights(1, 2, 2), 1e-12);
    expectClose(cotangentsOf(grpo("decoupled-ppo"), lagged), weights(1, Math.E, 0), 1e-12);
  });
});

describe("V-trace", () => {
  it.each(DRAWS)("is on policy the n-step return, whatever the rewards of other steps (%i)", (seed) => {
    const drawn = draw(seed);
    const step = { "live logprob": stepColumn(drawn, "behaviorLogprobs") };
    const batch = withColumns(drawn, { step });
    const gamma = 0.9;
    const { step: derived } = derivedFrom(recipe("vtrace", { gamma, rewardClip: null }), batch);
    const [rewards, values] = [stepColumn(batch, "rewards"), stepColumn(batch, "live value")];
    chosenOf(batch).forEach((row, i) => {
      const last = batch.terminated[i] === 1 ? 0 : batch.row["bootstrapValues"]![i]!;
      row.forEach((t, k) => {
        const rest = row.slice(k).map((u, l) => gamma ** l * rewards[u]!);
        const target = sum(rest) + gamma ** rest.length * last;
        expect(derived["returns"]![t]!).toBeCloseTo(target, 10);
        expect(derived["advantages"]![t]!).toBeCloseTo(target - values[t]!, 10);
      });
    });
  });
});

describe("two surrogates, weighed", () => {
  /** w·φ(A) + (1 − w)·φ(B) in two terms, or φ(w·A + (1 − w)·B) in one. */
  function both(
    batch: Batch,
    surrogate: ReturnType<typeof ppoClip>,
  ): readonly [two: Float64Array, one: Float64Array] {
    const random = new Random(7);
    const column = (value: () => number): Float64Array => batch.step["rewards"]!.map(value);
    const [first, second] = [column(() => random.normal()), column(() => random.normal())];
    const share = column(() => random.uniform());
    const rest = share.map((w) => 1 - w);
    const advantages = first.map((a, t) => share[t]! * a + rest[t]! * second[t]!);
    const columns = withColumns(batch, { step: { first, second, share, rest, advantages } });
    const term = (of: string, weights: readonly string[]) =>
      policyTerm({ surrogate, aggregator: seqMeanTokenMean(), window: null, advantages: of, weights });
    const base = { ...recipe("grpo"), derive: [] };
    const two = { ...base, terms: [term("first", ["share"]), term("second", ["rest"])] };
    const one = { ...base, terms: [term("advantages", [])] };
    return [cotangentsOf(two, columns), cotangentsOf(one, columns)];
  }

  it.each(DRAWS)("are COPO, and one of the blended advantage is not (%i)", (seed) => {
    const chosen = recipe("copo", { clipLow: 0.1, clipHigh: 0.1, midpoint: 0.8, weighting: "soft" });
    const derived = derivedFrom(chosen, draw(seed, { score: success }));
    const [local, global] = [stepColumn(derived, "localWeights"), stepColumn(derived, "globalWeights")];
    const [within, between] = [stepColumn(derived, "advantages"), stepColumn(derived, "globalAdvantages")];
    const of = (advantages: Float64Array): Float64Array => {
      const term = policyTerm({
        ...{ surrogate: ppoClip({ low: 0.1, high: 0.1 }), aggregator: seqMeanTokenMean(), window: null },
      });
      const plain = { ...chosen, derive: [], terms: [term] };
      return cotangentsOf(plain, withColumns(derived, { step: { advantages } }));
    };
    const [first, second] = [of(within), of(between)];
    const found = evaluateDerived(chosen, derived, {}).cotangents.logprob!;
    expectClose(
      found,
      first.map((x, t) => local[t]! * x + global[t]! * second[t]!),
      1e-12,
    );
    const blended = of(within.map((x, t) => local[t]! * x + global[t]! * between[t]!));
    expect(worst(found, blended)).toBeGreaterThan(1e-3);
  });

  it.each(DRAWS)("are one of the blended advantage only where nothing is clipped (%i)", (seed) => {
    const batch = draw(seed);
    const [two, one] = both(batch, importanceSampling());
    expectClose(two, one, 1e-12);
    const [clippedTwo, clippedOne] = both(batch, ppoClip({ low: 0.1, high: 0.1 }));
    expect(worst(clippedTwo, clippedOne)).toBeGreaterThan(1e-3);
  });
});
