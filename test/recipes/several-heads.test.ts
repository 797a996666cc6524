/** Methods whose networks have more than one critic: pmoe, pdppo. */
import { describe, expect, it } from "vitest";
import { responsibilities } from "../../core/algo/mixture.js";
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

const seal = (method: Recipe, batch: Batch): Batch =>
  deriveColumns(method, "seal", batch, { readings: {}, live: {}, random: new Random(1) });

describe("pmoe", () => {
  const COMPONENTS = 3;
  const WIDTH = COMPONENTS * (1 + 2 * 2);

  it("has the slopes of its loss on the mixture, the critic and the components' values", () => {
    const random = new Random(4);
    const plain = randomBatch(random, { boxActions: 2, rows: 2 });
    const { steps, actions } = plain.inputs;
    const policies = Float64Array.from(grid(random, steps * WIDTH, 0.5));
    const method = recipe("pmoe", { entropyCoefficient: 0.1 });
    const batch = seal(method, withColumns(plain, { step: { policies } }));
    expect([...batch.step["responsibilities"]!]).toEqual([
      ...responsibilities(policies, actions as Float32Array, steps),
    ]);
    const live = {
      ...{ logprob: grid(random, steps), value: grid(random, steps), entropy: grid(random, steps) },
      ...{ policy: grid(random, steps * WIDTH), componentValues: grid(random, steps * COMPONENTS) },
    };
    const { batch: derived, cotangents } = expectSlopes(method, batch, live);
    derived.step["bestComponent"]!.forEach((best, t) => {
      const values = live.componentValues.subarray(t * COMPONENTS, (t + 1) * COMPONENTS);
      expect(values[best]).toBe(Math.max(...values));
    });
    // Means and deviations move by the surrogate alone, which is of the log-probability.
    const gates = cotangents.policy!.filter((x, i) => i % WIDTH >= COMPONENTS && x !== 0);
    expect(gates).toHaveLength(0);
  });
});

describe("pdppo", () => {
  const method = recipe("pdppo", { entropyCoefficient: 0, gamma: 0.991 });
  const one = { ...fixtureBatch([0], [0, 3]), terminated: Uint8Array.of(1) };
  const [value, postValue] = [
    [0.3, -0.2, 0.1],
    [0.1, 0.2, -0.4],
  ];
  const batch = withColumns(one, {
    step: {
      rewards: Float64Array.of(1, 0, 2),
      ...{ values: Float64Array.from(value), postValues: Float64Array.from(postValue) },
    },
    row: { bootstrapValues: Float64Array.of(NaN) },
  });
  const live = { value: Float32Array.from(value), postValue: Float32Array.from(postValue) };

  it("has the catalogue's advantages over the smaller critic, and its critics' loss", () => {
    const { step } = seal(method, batch);
    expectClose(step["returns"]!, [1.154552, -0.593292, -0.56126]);
    expectClose(step["advantages"]!, [1.054552, -0.393292, -0.16126]);
    const { stats } = evaluated(method, batch, {}, { live });
    expectClose([stats["valueLoss"]! + stats["postValueLoss"]!], [0.215461]);
  });

  it("takes nothing for what comes after a row", () => {
    const cut = seal(method, { ...batch, terminated: Uint8Array.of(0) });
    expectClose(cut.step["returns"]!, [...seal(method, batch).step["returns"]!]);
  });

  it("teaches the smaller critic alone", () => {
    const { cotangents } = evaluated(method, batch, {}, { live });
    const returns = seal(method, batch).step["returns"]!;
    const slope = (x: number, t: number): number => (x - returns[t]!) / 3;
    expectClose(cotangents.value!, [0, slope(-0.2, 1), 0]);
    expectClose(cotangents.postValue!, [slope(0.1, 0), 0, slope(-0.4, 2)]);
  });

  it("has the slopes of its loss", () => {
    const random = new Random(7);
    const plain = randomBatch(random, { rows: 3 });
    const { steps } = plain.inputs;
    const postValues = Float64Array.from(grid(random, steps));
    const whole = recipe("pdppo");
    expectSlopes(whole, seal(whole, withColumns(plain, { step: { postValues } })), {
      ...{ logprob: grid(random, steps), entropy: grid(random, steps) },
      ...{ value: grid(random, steps), postValue: grid(random, steps) },
    });
  });
});
