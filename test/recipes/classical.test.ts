/** Methods with a critic against numbers worked out by hand, and their cotangents against central differences. */
import { describe, expect, it } from "vitest";
import { vtrace as vtraceOf } from "../../core/algo/vtrace.js";
import { Random } from "../../core/random.js";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { deriveColumns } from "../../core/slots/evaluate.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { evaluated, fixtureBatch } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";
import { randomBatch } from "./fixture.js";
import { expectSlopes, grid } from "./slopes.js";

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

const seal = (sealing: Recipe, batch: Batch): Batch =>
  deriveColumns(sealing, "seal", batch, { readings: {}, live: {}, random: new Random(1) });

describe("vtrace", () => {
  it("has the catalogue's targets and advantages, of live ratios and values, and sums over steps", () => {
    const one = fixtureBatch([3], [0, 3]);
    const batch = withColumns(
      { ...one, terminated: Uint8Array.of(0) },
      {
        step: { rewards: Float64Array.of(1, 0, 2), values: new Float64Array(3) },
        row: { bootstrapValues: Float64Array.of(0.2) },
      },
    );
    const old = batch.step["behaviorLogprobs"]!;
    const logprob = Float32Array.from([0.2, -0.4, 0.6], (x, t) => old[t]! + x);
    const live = { logprob, value: Float32Array.of(0.5, 0.4, 0.3) };
    const params = { rewardClip: null, entropyCoefficient: 0 };
    const found = evaluated(recipe("vtrace", params), batch, {}, { live });
    const advantages = [2.074597, 1.190502, 1.898];
    const targets = [2.574597, 1.590502, 2.198];
    expectClose(found.batch.step["advantages"]!, advantages);
    expectClose(found.batch.step["returns"]!, targets);
    expectClose(
      found.cotangents.logprob!,
      advantages.map((a) => -a),
    );
    expectClose(
      found.cotangents.value!,
      targets.map((v, t) => 0.5 * (live.value[t]! - v)),
    );
  });

  it("clips rewards, and has the slopes of its loss", () => {
    const random = new Random(3);
    const method = recipe("vtrace");
    const batch = seal(method, randomBatch(random));
    expect(Math.max(...batch.step["rewards"]!.map(Math.abs))).toBe(1);
    const { steps } = batch.inputs;
    const live = { logprob: grid(random, steps), value: grid(random, steps), entropy: grid(random, steps) };
    const { batch: derived } = expectSlopes(method, batch, live);
    const { mask, offsets, terminated } = batch;
    const { advantages } = vtraceOf(
      {
        ...{ mask, offsets, terminated, rewards: batch.step["rewards"]! },
        bootstrapValues: batch.row["bootstrapValues"]!,
        values: Float64Array.from(live.value),
        logRatios: Float64Array.from(live.logprob, (x, t) => x - batch.step["behaviorLogprobs"]![t]!),
      },
      { gamma: 0.99, lambda: 1, maxRatio: 1, maxPolicyRatio: 1 },
    );
    expectClose(derived.step["advantages"]!, [...advantages]);
  });
});

describe("ppo-kl", () => {
  const method = recipe("ppo-kl", { normalizeAdvantages: false });

  it("adds β times the mean exact KL to the unclipped surrogate", () => {
    const log = (ps: number[]): Float64Array => Float64Array.from(ps, Math.log);
    const [old, now] = [log([0.5, 0.3, 0.2]), log([0.6, 0.25, 0.15])];
    const one = fixtureBatch([0], [0, 1]);
    const batch = withColumns(one, {
      step: { policies: old, oldLogprobs: old.slice(0, 1), values: new Float64Array(1) },
      row: { bootstrapValues: new Float64Array(1) },
    });
    const { loss, stats } = evaluated(
      recipe("ppo-kl", { normalizeAdvantages: false, entropyCoefficient: 0, valueCoefficient: 0 }),
      batch,
      { advantages: Float64Array.of(1) },
      {
        readings: { klWeight: { beta: 1 } },
        live: { logprob: Float32Array.of(now[0]!), policy: Float32Array.from(now) },
      },
    );
    expectClose([stats["policyKl"]!, loss], [0.021072, -1.178928]);
  });

  it("halves and doubles β by the KL of the last pass, and keeps it where nothing was trained", () => {
    const beta = method.trackers["klWeight"]!;
    const after = (lastPass: Record<string, number>): number =>
      beta.read(beta.conclude!(beta.initial, { policyKl: 99 }, lastPass))["beta"]!;
    const measured = [0.004, 0.01, 0.02];
    expect(measured.map((policyKl) => after({ policyKl }))).toEqual([0.5, 1, 2]);
    expect(after({})).toBe(1);
  });

  it.each([
    ["integer", 0, 4],
    ["real-valued", 2, 4],
  ])("has the slopes of its loss, with %s actions", (_name, boxActions, width) => {
    const random = new Random(8);
    const plain = randomBatch(random, { boxActions, rows: 2 });
    const { steps } = plain.inputs;
    const policies = Float64Array.from(grid(random, steps * width, 0.3));
    const batch = seal(method, withColumns(plain, { step: { policies } }));
    const live = {
      ...{ value: grid(random, steps), entropy: grid(random, steps) },
      ...{ logprob: grid(random, steps, 0.3), policy: grid(random, steps * width, 0.3) },
    };
    expectSlopes(method, batch, live, { readings: { klWeight: { beta: 2 } }, tolerance: 1e-4 });
  });
});

describe("ppo-max", () => {
  const method = (params: Readonly<Record<string, unknown>> = {}): Recipe => recipe("ppo-max", params);

  it("scales scores by the moments of all so far, then clips", () => {
    const scores = method().trackers["scores"]!;
    const single = (n: number): number[] => Array.from({ length: n + 1 }, (_, i) => i);
    const batches = [
      [2, -1, 0.5, 3],
      [0, 1, 4, -2],
    ].map((given) => fixtureBatch(given, single(4)));
    const first = scores.observe(scores.initial, batches[0]!);
    expectClose([scores.read(first)["std"]!], [1.75]);
    const second = scores.observe(first, batches[1]!);
    const reading = scores.read(second);
    expectClose([reading["mean"]!, reading["std"]!], [0.9375, 2.007797]);
    const shaped = (scoring: string, batch: Batch, readings: Record<string, number>): Float64Array => {
      const logprobs = new Float64Array(4);
      const given = withColumns(batch, {
        step: { referenceLogprobs: logprobs, oldLogprobs: logprobs, values: logprobs },
        row: { bootstrapValues: logprobs },
      });
      const sealing = method({ scoring, scoreClip: scoring === "scale" && batch === batches[0] ? 10 : 0.8 });
      const context = { readings: { scores: readings }, live: {}, random: new Random(1) };
      return deriveColumns(sealing, "seal", given, context).step["rewards"]!;
    };
    const scaled = shaped("scale", batches[0]!, scores.read(first));
    expectClose(scaled, [1.142857, -0.571429, 0.285714, 1.714286]);
    expectClose(shaped("scale", batches[1]!, reading), [0, 0.498058, 0.8, -0.8]);
    expectClose(shaped("normalise", batches[1]!, reading), [-0.46693, 0.031129, 0.8, -0.8]);
  });

  it("rewards the score at the row's end and the KL at every step, and bounds advantages", () => {
    const one = fixtureBatch([0.8], [0, 3]);
    const batch = withColumns(one, {
      step: {
        oldLogprobs: Float64Array.of(-0.5, -1, -0.2),
        referenceLogprobs: Float64Array.of(-0.6, -0.8, -0.3),
        values: Float64Array.of(0.1, 0.2, 0.3),
      },
      row: { bootstrapValues: Float64Array.of(NaN) },
    });
    const sealed = (params: Readonly<Record<string, unknown>>) => {
      const context = { readings: { scores: { mean: 0, std: 1 } }, live: {}, random: new Random(1) };
      return deriveColumns(method(params), "seal", batch, context).step;
    };
    const { rewards, advantages, returns } = sealed({ whitenAdvantages: false, advantageClip: null });
    expectClose(rewards!, [-0.002, 0.004, 0.798]);
    expectClose(advantages!, [0.646245, 0.5771, 0.498]);
    expectClose(returns!, [0.746245, 0.7771, 0.798]);
    expectClose(sealed({ advantageClip: null })["advantages"]!, [1.196268, 0.054781, -1.251049]);
    expectClose(sealed({})["advantages"]!, [0.5, 0.054781, -0.5]);
  });
});

describe("taypo", () => {
  it("has the slope of its second-order objective, averaged over steps, as cotangents", () => {
    const params = { pairDiscount: 0.9, clipEpsilon: 5, normalizeAdvantages: false, entropyCoefficient: 0 };
    const batch = withColumns(fixtureBatch([0], [0, 3]), {
      step: { values: new Float64Array(3) },
      row: { bootstrapValues: new Float64Array(1) },
    });
    const ratios = [1.1, 0.8, 1.3];
    const logprob = Float32Array.from(ratios, (r, t) => batch.step["oldLogprobs"]![t]! + Math.log(r));
    const [a, b, c] = [0.5, -0.2, 1] as const;
    const advantages = Float64Array.of(a, b, c);
    const method = recipe("taypo", params);
    const { cotangents } = evaluated(method, batch, { advantages }, { live: { logprob } });
    const [x, y, z] = [0.1, -0.2, 0.3] as const;
    const slopes = [
      a + 0.9 * y * b + 0.81 * z * c,
      b + 0.9 * x * b + 0.9 * z * c,
      c + 0.81 * x * c + 0.9 * y * c,
    ];
    expectClose(
      cotangents.logprob!,
      slopes.map((slope, t) => (-slope * ratios[t]!) / 3),
    );
  });

  it("has the slopes of its loss on whole rows", () => {
    const random = new Random(5);
    const method = recipe("taypo");
    expect(method.update.minibatchesOf).toBe("rows");
    const batch = seal(method, randomBatch(random, { rows: 3 }));
    const { steps } = batch.inputs;
    const live = { logprob: grid(random, steps), value: grid(random, steps), entropy: grid(random, steps) };
    expectSlopes(method, batch, live);
  });
});

describe("t-ppo", () => {
  const method = recipe("t-ppo", { normalizeAdvantages: false, entropyCoefficient: 0 });
  const VALUES = [0.2, 0.3, 0.5, 0.4];

  const sealed = (
    rewards: number[],
    columns: Parameters<typeof withColumns>[1],
    terminated: 0 | 1,
  ): Batch => {
    const one = { ...fixtureBatch([0], [0, 4]), terminated: Uint8Array.of(terminated) };
    return seal(
      method,
      withColumns(one, {
        step: {
          ...{ rewards: Float64Array.from(rewards), values: Float64Array.from(VALUES) },
          fresh: new Float64Array(4).fill(1),
        },
        row: { bootstrapValues: Float64Array.of(7), ...columns.row },
      }),
    );
  };

  it("takes the last value for that of the observation after a cut, and teaches the critic nothing there", () => {
    const { step } = sealed([0, 0, 0, 0], {}, 0);
    expectClose(step["advantages"]!, [0.19975, 0.105, -0.1, 0]);
    expect([...step["finished"]!]).toEqual([0, 0, 0, 0]);
  });

  it("is ordinary GAE where the trajectory ended, whose Monte-Carlo returns are the critic's", () => {
    const { step } = sealed([0, 0, 0, 1], {}, 1);
    expectClose(step["advantages"]!, [0.714175, 0.6465, 0.47, 0.6]);
    expectClose(step["returns"]!, [1, 1, 1, 1]);
    expect([...step["finished"]!]).toEqual([1, 1, 1, 1]);
  });

  it("bootstraps from the final observation after a time limit", () => {
    const { step } = sealed([0, 0, 0, 1], { row: { truncated: Float64Array.of(1) } }, 0);
    expectClose(step["returns"]!, [8, 8, 8, 8]);
    expectClose(step["advantages"]!.subarray(3), [1 + 7 - 0.4]);
  });

  it("trains the policy on new steps and the critic on finished ones, with the slopes of its loss", () => {
    const random = new Random(6);
    const batch = randomBatch(random, { rows: 4 });
    const { steps } = batch.inputs;
    const fresh = Float64Array.from({ length: steps }, () => random.integer(2));
    const finished = Float64Array.from({ length: steps }, () => random.integer(2));
    const derived = seal(recipe("t-ppo"), withColumns(batch, { step: { fresh } }));
    const minibatch = withColumns(derived, { step: { finished } });
    const live = { logprob: grid(random, steps), value: grid(random, steps), entropy: grid(random, steps) };
    const { cotangents } = expectSlopes(recipe("t-ppo"), minibatch, live);
    const without = (column: Float64Array, selected: Float64Array): number =>
      column.reduce((count, x, t) => count + (x !== 0 && selected[t] === 0 ? 1 : 0), 0);
    expect(without(cotangents.logprob!, fresh)).toBe(0);
    expect(without(cotangents.entropy!, fresh)).toBe(0);
    expect(cotangents.logprob!.some((x) => x !== 0)).toBe(true);
    expect(cotangents.value!.some((x) => x !== 0)).toBe(true);
  });
});
