import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { selectSteps } from "../../core/slots/select.js";
import { deriveColumns, evaluateTerms, liveColumns } from "../../core/slots/evaluate.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { contextOf, randomBatch, worst } from "./fixture.js";
import {
  nearKink,
  slowAdvantages,
  slowLoss,
  slowNormalized,
  type Live,
  type SlowMinibatch,
  type SlowParams,
} from "./slow-ppo.js";

const DEFAULTS: SlowParams = {
  ...{ gamma: 0.99, lambda: 0.95, clipEpsilon: 0.2, valueClipEpsilon: 0.2 },
  ...{ valueCoefficient: 0.5, entropyCoefficient: 0.01, normalizeAdvantages: true },
};
const VARIANTS: readonly (readonly [string, Partial<SlowParams>])[] = [
  ["defaults", {}],
  ["values not clipped", { valueClipEpsilon: null }],
  ["advantages as they are", { normalizeAdvantages: false }],
  [
    "other numbers",
    { gamma: 0.9, lambda: 0.5, clipEpsilon: 0.05, valueCoefficient: 2, entropyCoefficient: 0.3 },
  ],
];

const recipeOf = (params: Partial<SlowParams> = {}): Recipe => resolveRecipe({ id: "ppo", params });
const shuffled = (random: Random, n: number): Uint32Array => {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  random.shuffle(order);
  return order;
};

interface Minibatch {
  readonly batch: Batch;
  readonly slow: SlowMinibatch;
  readonly live: { logprob: Float32Array; value: Float32Array; entropy: Float32Array };
}

/** Half of a random batch as training sees it, and the same numbers for the slow loss. */
function minibatchOf(recipe: Recipe, params: SlowParams, random: Random, masked = 0.2): Minibatch {
  const whole = randomBatch(random, { masked });
  const sealed = deriveColumns(recipe, "seal", whole, contextOf());
  const indices = shuffled(random, whole.inputs.steps).subarray(0, Math.ceil(whole.inputs.steps / 2));
  const batch = selectSteps(sealed, indices);
  const pick = (column: ArrayLike<number>): number[] => Array.from(indices, (t) => column[t]!);
  const advantages = slowAdvantages(whole, params);
  const returns = advantages.map((a, t) => a + whole.step["values"]![t]!);
  const slow: SlowMinibatch = {
    mask: pick(whole.mask),
    oldLogprobs: pick(whole.step["behaviorLogprobs"]!),
    oldValues: pick(whole.step["values"]!),
    advantages: pick(advantages),
    returns: pick(returns),
  };
  const near = (centre: readonly number[], spread: number): Float32Array =>
    Float32Array.from(centre, (x) => x + spread * random.normal());
  const live = {
    logprob: near(slow.oldLogprobs, 0.3),
    value: near(slow.oldValues, 0.4),
    entropy: near(
      slow.oldValues.map(() => 1),
      0.2,
    ),
  };
  return { batch, slow, live };
}

const numbers = (live: Minibatch["live"]): Live => ({
  logprob: Array.from(live.logprob),
  value: Array.from(live.value),
  entropy: Array.from(live.entropy),
});

describe("PPO's advantages and returns", () => {
  it.each(VARIANTS)("are the sum form of GAE over the chosen steps of each row (%s)", (_name, change) => {
    const params = { ...DEFAULTS, ...change };
    const random = new Random(1);
    for (let draw = 0; draw < 30; draw++) {
      const batch = randomBatch(random);
      const sealed = deriveColumns(recipeOf(change), "seal", batch, contextOf());
      const chosen = Array.from(batch.mask).flatMap((m, t) => (m === 1 ? [t] : []));
      const expected = slowAdvantages(batch, params);
      const at = (column: ArrayLike<number>): number[] => chosen.map((t) => column[t]!);
      expect(worst(at(sealed.step["advantages"]!), at(expected))).toBeLessThan(1e-12);
      const returns = expected.map((a, t) => a + batch.step["values"]![t]!);
      expect(worst(at(sealed.step["returns"]!), at(returns))).toBeLessThan(1e-12);
    }
  });

  it("bootstrap from the final observation where an episode was cut short, never where it ended", () => {
    const random = new Random(2);
    const batch = randomBatch(random, { masked: 0 });
    const advantagesWith = (bootstrap: number): Float64Array => {
      const bootstrapValues = new Float64Array(batch.offsets.length - 1).fill(bootstrap);
      const changed = withColumns(batch, { row: { bootstrapValues } });
      return deriveColumns(recipeOf(), "seal", changed, contextOf()).step["advantages"]!;
    };
    const [without, withTen] = [advantagesWith(0), advantagesWith(10)];
    const ends = new Set<string>();
    for (let i = 0; i + 1 < batch.offsets.length; i++) {
      const terminated = batch.terminated[i] === 1;
      ends.add(terminated ? "terminated" : batch.row["truncated"]![i] === 1 ? "truncated" : "unfinished");
      for (let t = batch.offsets[i]!; t < batch.offsets[i + 1]!; t++) {
        const stepsToEnd = batch.offsets[i + 1]! - 1 - t;
        const expected = terminated ? 0 : 10 * 0.99 * (0.99 * 0.95) ** stepsToEnd;
        expect(withTen[t]! - without[t]!).toBeCloseTo(expected, 10);
      }
    }
    expect(ends).toEqual(new Set(["terminated", "truncated", "unfinished"]));
  });

  it("of a row cut in two are those of the whole row less what lies beyond the cut", () => {
    // Â(t) of the whole = Â(t) of the first part + (γλ)^(steps to the cut) · Â(cut), V(cut) bootstrapping the part.
    const random = new Random(3);
    const rewards = Float64Array.from({ length: 7 }, () => random.normal());
    const values = Float64Array.from({ length: 7 }, () => random.normal());
    const rowsOf = (offsets: number[], bootstrapValues: number[]): Float64Array => {
      const rows = offsets.length - 1;
      const batch: Batch = {
        offsets: Uint32Array.from(offsets),
        mask: new Uint8Array(7).fill(1),
        terminated: new Uint8Array(rows),
        inputs: { steps: 7, observations: new Float32Array(7), actions: null, actionMasks: null },
        initialStates: new Float32Array(0),
        finalObservations: new Float32Array(rows),
        step: { rewards, values, behaviorLogprobs: new Float64Array(7) },
        row: { bootstrapValues: Float64Array.from(bootstrapValues), truncated: new Float64Array(rows) },
      };
      return deriveColumns(recipeOf(), "seal", batch, contextOf()).step["advantages"]!;
    };
    const whole = rowsOf([0, 7], [0.3]);
    for (let cut = 1; cut < 7; cut++) {
      const parts = rowsOf([0, cut, 7], [values[cut]!, 0.3]);
      for (let t = 0; t < 7; t++) {
        const beyond = t < cut ? (0.99 * 0.95) ** (cut - t) * whole[cut]! : 0;
        expect(parts[t]).toBeCloseTo(whole[t]! - beyond, 12);
      }
    }
  });

  it("are normalised in each minibatch by itself, returns never", () => {
    const random = new Random(4);
    for (let draw = 0; draw < 20; draw++) {
      const { batch: minibatch, slow } = minibatchOf(recipeOf(), DEFAULTS, random);
      const batch = deriveColumns(recipeOf(), "step", minibatch, contextOf());
      const chosen = slow.mask.flatMap((m, t) => (m === 1 ? [t] : []));
      const at = (column: ArrayLike<number>): number[] => chosen.map((t) => column[t]!);
      expect(
        worst(at(batch.step["advantages"]!), at(slowNormalized(slow.advantages, slow.mask))),
      ).toBeLessThan(1e-10);
      expect(worst(at(batch.step["returns"]!), at(slow.returns))).toBeLessThan(1e-12);
    }
  });
});

describe("PPO's loss", () => {
  it.each(VARIANTS)("is that of a slow implementation from the formulas (%s)", (_name, change) => {
    const params = { ...DEFAULTS, ...change };
    const recipe = recipeOf(change);
    const random = new Random(5);
    for (let draw = 0; draw < 40; draw++) {
      const { batch, slow, live } = minibatchOf(recipe, params, random);
      const { loss } = evaluateTerms(recipe, batch, live, contextOf());
      expect(loss).toBeCloseTo(slowLoss(slow, numbers(live), params), 10);
    }
  });

  it.each(VARIANTS)(
    "has the cotangents that central differences of the slow one find (%s)",
    (_name, change) => {
      const params = { ...DEFAULTS, ...change };
      const recipe = recipeOf(change);
      const random = new Random(6);
      const h = 1e-6;
      let compared = 0;
      for (let draw = 0; draw < 5; draw++) {
        const { batch, slow, live } = minibatchOf(recipe, params, random);
        const { cotangents } = evaluateTerms(recipe, batch, live, contextOf());
        for (const column of ["logprob", "value", "entropy"] as const) {
          for (let t = 0; t < slow.mask.length; t++) {
            if (nearKink(slow, numbers(live), params, t, 1e-4)) continue;
            const at = (shift: number): number => {
              const moved = {
                ...numbers(live),
                [column]: Array.from(live[column], (x, k) => (k === t ? x + shift : x)),
              };
              return slowLoss(slow, moved, params);
            };
            const expected = slow.mask[t] === 0 ? 0 : (at(h) - at(-h)) / (2 * h);
            expect(cotangents[column]![t], `${column} ${t}`).toBeCloseTo(expected, 7);
            compared++;
          }
        }
      }
      expect(compared).toBeGreaterThan(200);
    },
  );

  it("and its cotangents do not change with what masked steps hold", () => {
    const random = new Random(7);
    const recipe = resolveRecipe({ id: "ppo", params: { scaleRewards: true } });
    const whole = randomBatch(random, { masked: 0.4 });
    const spoil = (column: Float64Array): Float64Array =>
      column.map((x, t) => (whole.mask[t] === 0 ? 1e3 * x + 7 : x));
    const spoiled: Batch = {
      ...whole,
      step: Object.fromEntries(Object.entries(whole.step).map(([k, c]) => [k, spoil(c)])),
    };
    const n = whole.inputs.steps;
    const base = { logprob: new Float32Array(n), value: new Float32Array(n), entropy: new Float32Array(n) };
    for (const column of Object.values(base)) column.forEach((_, t) => (column[t] = random.normal()));
    const run = (batch: Batch, live: typeof base) => {
      const tracker = recipe.trackers["returnScale"]!;
      const readings = { returnScale: tracker.read(tracker.observe(tracker.initial, batch)) };
      const sealed = deriveColumns(recipe, "seal", batch, contextOf(readings));
      const minibatch = selectSteps(sealed, shuffled(new Random(1), n));
      const order = shuffled(new Random(1), n);
      const pick = (column: Float32Array): Float32Array => Float32Array.from(order, (t) => column[t]!);
      const evaluation = evaluateTerms(
        recipe,
        minibatch,
        {
          ...{ logprob: pick(live.logprob), value: pick(live.value), entropy: pick(live.entropy) },
        },
        contextOf(readings),
      );
      return { evaluation, mask: minibatch.mask, readings };
    };
    const spoiledLive = {
      logprob: base.logprob.map((x, t) => (whole.mask[t] === 0 ? -50 : x)),
      value: base.value.map((x, t) => (whole.mask[t] === 0 ? 999 : x)),
      entropy: base.entropy.map((x, t) => (whole.mask[t] === 0 ? 999 : x)),
    };
    const [clean, other] = [run(whole, base), run(spoiled, spoiledLive)];
    expect(other).toEqual(clean);
    for (const column of Object.values(clean.evaluation.cotangents)) {
      column.forEach((x, t) => clean.mask[t] === 0 && expect(x).toBe(0));
      expect(column.some((x) => x !== 0)).toBe(true);
    }
  });

  it("of a whole is the mean of those of its parts, by their chosen steps, where nothing is normalised", () => {
    const params = { ...DEFAULTS, normalizeAdvantages: false };
    const recipe = recipeOf(params);
    const random = new Random(8);
    const { batch, live } = minibatchOf(recipe, params, random, 0.3);
    const n = batch.inputs.steps;
    const lossOf = (from: number, to: number): { loss: number; chosen: number } => {
      const indices = Uint32Array.from({ length: to - from }, (_, k) => from + k);
      const part = selectSteps(batch, indices);
      const slice = (column: Float32Array): Float32Array => column.slice(from, to);
      const { loss } = evaluateTerms(
        recipe,
        part,
        {
          ...{ logprob: slice(live.logprob), value: slice(live.value), entropy: slice(live.entropy) },
        },
        contextOf(),
      );
      return { loss, chosen: part.mask.reduce((a, b) => a + b, 0) };
    };
    const whole = lossOf(0, n);
    const parts = [lossOf(0, 5), lossOf(5, n)];
    const sum = parts.reduce((total, { loss, chosen }) => total + loss * chosen, 0);
    expect(sum / whole.chosen).toBeCloseTo(whole.loss, 12);
  });

  it("adds up the cotangents of terms on the same column", () => {
    const recipe = recipeOf();
    const { batch, live } = minibatchOf(recipe, DEFAULTS, new Random(13));
    const once = evaluateTerms(recipe, batch, live, contextOf());
    const twice = evaluateTerms(
      { ...recipe, terms: [...recipe.terms, ...recipe.terms] },
      batch,
      live,
      contextOf(),
    );
    expect(twice.loss).toBeCloseTo(2 * once.loss, 12);
    for (const column of liveColumns(recipe)) {
      expect(twice.cotangents[column]).toEqual(once.cotangents[column]!.map((x) => 2 * x));
    }
  });

  it("is zero, with zero cotangents, for a minibatch in which the policy chose nothing", () => {
    const recipe = recipeOf();
    const { batch, live } = minibatchOf(recipe, DEFAULTS, new Random(9), 1);
    const { loss, cotangents } = evaluateTerms(recipe, batch, live, contextOf());
    expect(loss).toBe(0);
    for (const column of Object.values(cotangents))
      expect(Array.from(column)).toEqual(Array.from(column, () => 0));
  });
});

describe("what PPO reports", () => {
  it("is the loss by its parts, the KL, the share of clipped steps, the entropy and the variance explained", () => {
    const recipe = recipeOf();
    const random = new Random(10);
    for (let draw = 0; draw < 10; draw++) {
      const { batch, slow, live } = minibatchOf(recipe, DEFAULTS, random);
      const { stats, loss } = evaluateTerms(recipe, batch, live, contextOf());
      const chosen = slow.mask.flatMap((m, t) => (m === 1 ? [t] : []));
      const mean = (f: (t: number) => number): number =>
        chosen.reduce((sum, t) => sum + f(t), 0) / chosen.length;
      const variance = (f: (t: number) => number): number => mean((t) => f(t) ** 2) - mean(f) ** 2;
      const advantages = slowNormalized(slow.advantages, slow.mask);
      const logRatio = (t: number): number => live.logprob[t]! - slow.oldLogprobs[t]!;
      const clipped = (t: number): boolean =>
        advantages[t]! > 0 ? Math.exp(logRatio(t)) > 1.2 : Math.exp(logRatio(t)) < 0.8;
      expect(stats["klK3"]).toBeCloseTo(
        mean((t) => Math.exp(logRatio(t)) - 1 - logRatio(t)),
        9,
      );
      expect(stats["clipFraction"]).toBeCloseTo(
        mean((t) => (clipped(t) ? 1 : 0)),
        12,
      );
      expect(stats["entropy"]).toBeCloseTo(
        mean((t) => live.entropy[t]!),
        9,
      );
      const unexplained =
        variance((t) => slow.returns[t]! - live.value[t]!) / variance((t) => slow.returns[t]!);
      expect(stats["explainedVariance"]).toBeCloseTo(1 - unexplained, 8);
      const parts = stats["policyLoss"]! + 0.5 * stats["valueLoss"]! + 0.01 * stats["entropyLoss"]!;
      expect(loss).toBeCloseTo(parts, 12);
      expect(stats["entropyLoss"]).toBeCloseTo(-stats["entropy"]!, 9);
    }
  });
});

describe("the recipe of PPO", () => {
  it("asks the engine for the values it derives from and for the columns its terms differentiate", () => {
    const recipe = recipeOf();
    expect(recipe.evaluate).toEqual(["value"]);
    expect(liveColumns(recipe)).toEqual(["logprob", "value", "entropy"]);
  });

  it("says which column is missing instead of training on nothing", () => {
    const recipe = recipeOf();
    const batch = randomBatch(new Random(11));
    const { values: _gone, ...step } = batch.step;
    void _gone;
    expect(() => deriveColumns(recipe, "seal", { ...batch, step }, contextOf())).toThrow(
      'needs the step column "values"',
    );
    const sealed = deriveColumns(recipe, "seal", batch, contextOf());
    const live = {
      logprob: new Float32Array(batch.inputs.steps),
      entropy: new Float32Array(batch.inputs.steps),
    };
    expect(() => evaluateTerms(recipe, sealed, live, contextOf())).toThrow(
      "recipe ppo: term valueLoss needs the live column value",
    );
  });

  it("declares what each derive and each term reads and writes", () => {
    const recipe = resolveRecipe({ id: "ppo", params: { scaleRewards: true } });
    const present = new Set(["rewards", "behaviorLogprobs", "oldLogprobs", "values"]);
    const readings = { returnScale: { std: 2 } };
    let batch = randomBatch(new Random(12));
    for (const when of ["seal", "step"] as const) {
      for (const derive of recipe.derive.filter((candidate) => candidate.when === when)) {
        for (const name of derive.needs) expect(present).toContain(name);
        const added = derive.run(batch, contextOf(readings));
        expect(Object.keys(added.step ?? {}).sort()).toEqual([...derive.writes].sort());
        batch = withColumns(batch, added);
        derive.writes.forEach((name) => present.add(name));
      }
    }
    for (const term of recipe.terms) for (const name of term.needs) expect(present).toContain(name);
  });
});
