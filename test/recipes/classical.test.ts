/** Methods with a critic against numbers worked out by hand, and their cotangents against central differences. */
import { describe, expect, it } from "vitest";
import { vtrace as vtraceOf } from "../../core/algo/vtrace.js";
import { Random } from "../../core/random.js";
import { withColumns, type Batch } from "../../core/recipes/batch.js";
import { deriveColumns } from "../../core/recipes/evaluate.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/recipes/recipe.js";
import { evaluated, fixtureBatch } from "./catalogue-fixture.js";
import { randomBatch } from "./fixture.js";
import { expectSlopes, grid } from "./slopes.js";

const CLOSE = 1.5e-6;

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = CLOSE): void {
  expect(actual).toHaveLength(expected.length);
  Array.from(expected).forEach((x, i) =>
    expect(Math.abs(actual[i]! - x), `at ${i}: ${actual[i]}, not ${x}`).toBeLessThan(tolerance),
  );
}

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
    const derived = expectSlopes(method, batch, live);
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
    expectClose(derived.step["advantages"]!, advantages);
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
