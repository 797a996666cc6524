/** Methods on rows of older policies, against numbers worked out by hand. */
import { describe, expect, it } from "vitest";
import { withColumns, type Batch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe } from "../../core/slots/recipe.js";
import { F } from "../algo/fixture.js";
import { evaluated, fixtureBatch } from "./catalogue-fixture.js";
import { expectClose } from "./expect-close.js";

const recipe = (id: string, params: Readonly<Record<string, unknown>> = {}): Recipe =>
  resolveRecipe({ id, params });

describe("gmpo", () => {
  it("has one ratio a row, the geometric mean", () => {
    const { loss, cotangents, batch } = evaluated(recipe("gmpo"));
    expectClose([loss], [-0.077013]);
    const ratios = [1.123745, 0.951229, 1.038212, 1.221403];
    const lengths = [3, 2, 4, 1];
    const expected = ratios.flatMap((ratio, i) => {
      const advantage = batch.step["advantages"]![F.offsets[i]!]!;
      return new Array<number>(lengths[i]!).fill((-advantage * ratio) / lengths[i]! / 4);
    });
    expectClose(cotangents.logprob!, expected);
  });

  it("clips each step on the side that its advantage pushes to", () => {
    const { loss } = evaluated(recipe("gmpo", { clipLow: 0.2, clipHigh: 0.2 }));
    // Δ' of the rows: (.1 − .05 + .2)/3; (max(−.25, −.2) + .15)/2; (.05 + .4 + max(−.3, −.2) + 0)/4; .2
    const ratios = [0.25 / 3, -0.05 / 2, 0.25 / 4, 0.2].map(Math.exp);
    const a = 0.866024;
    expectClose([loss], [(-a * (ratios[0]! - ratios[1]! - ratios[2]! + ratios[3]!)) / 4]);
  });
});

describe("remix", () => {
  /** One row of three steps, of an older policy: r and c of the worked example. */
  function older(logprob: readonly number[], advantage: number): { batch: Batch; live: Float32Array } {
    const behavior = new Float64Array(3).fill(-1);
    const at = (of: readonly number[]): Float64Array => Float64Array.from(of, (x) => x - 1);
    const batch = withColumns(fixtureBatch([advantage], [0, 3]), {
      step: {
        behaviorLogprobs: behavior,
        oldLogprobs: behavior,
        proximalLogprobs: at([0.1, -0.05, 0.3]),
        referenceLogprobs: at([0, 0.2, -0.1]),
      },
    });
    return { batch, live: Float32Array.from(at(logprob)) };
  }
  const readings = { pull: { reference: 0, last: 0 } };
  const LOG_RATIOS = [0.15, -0.3, 0.6];

  it("clips around the policy at hand, not around 1", () => {
    // A row alone keeps its score: A = 1/(1 + 1e-6).
    const { batch, live } = older(LOG_RATIOS, 1);
    const found = evaluated(
      recipe("remix", { entropyCoefficient: 0 }),
      batch,
      {},
      { readings, live: { logprob: live } },
    );
    expectClose(found.batch.step["clipCentres"]!, [1.105171, 0.951229, 1.349859]);
    expectClose([found.stats["policyLoss"]!], [-1.150837], 3e-6);
    expectClose(found.cotangents.logprob!, [-1.161834 / 3, -0.740818 / 3, 0], 3e-6);
  });

  it("is pulled to the reference and to the policy at hand, as its tracker says", () => {
    const { batch, live } = older(LOG_RATIOS, 0);
    const pulled = { readings: { pull: { reference: 0.3, last: 0.1 } }, live: { logprob: live } };
    const { stats, loss } = evaluated(recipe("remix", { entropyCoefficient: 0 }), batch, {}, pulled);
    const k3 = (d: number): number => Math.exp(-d) + d - 1;
    const mean = (ds: readonly number[]): number => ds.map(k3).reduce((a, b) => a + b, 0) / 3;
    const toReference = mean([0.15, -0.5, 0.7]);
    const toLast = mean([0.05, -0.25, 0.3]);
    expectClose([stats["referenceKl"]!, stats["lastKl"]!], [toReference, toLast]);
    expectClose([loss], [0.3 * toReference + 0.1 * toLast]);
  });

  it("lets go of the reference as batches go by", () => {
    const { pull } = recipe("remix", { klCoefficient: 2 }).trackers;
    let state = pull!.initial;
    const shown = new Map<number, Readonly<Record<string, number>>>();
    for (let batches = 0; batches <= 200; batches++) {
      shown.set(batches, pull!.read(state));
      state = JSON.parse(JSON.stringify(pull!.conclude!(pull!.observe(state, fixtureBatch()), {}, {})));
    }
    const shares = [0, 50, 51, 60, 75, 200].map((t) => shown.get(t)!["reference"]! / 2);
    expectClose(shares, [1, 1, 0.9, 0.9, 0.7, 0.5]);
    for (const { reference, last } of shown.values()) expectClose([reference! + last!], [2]);
  });

  it("replays two batches' rows, for 40 of a hundred steps", () => {
    const { replay, requires } = recipe("remix");
    expect(replay!.batches).toBe(2);
    expectClose([replay!.share], [0.4 / 0.6]);
    expect(requires).toEqual(["groups", "reference"]);
  });
});

describe("methods made of a method and a modifier", () => {
  it.each([
    ["tis", "grpo", "tis", { weightMax: 1, clipLow: 0.3 }],
    ["decoupled-ppo", "ppo", "decoupled-ppo", { weightCap: 1.01, clipEpsilon: 0.1 }],
    ["pf-ppo", "ppo", "pf-ppo", { resampling: "pow", clipEpsilon: 0.1 }],
  ])("%s is %s with %s, parameters and all", (id, base, modifier, params) => {
    const keys = Object.entries(params);
    const [ofModifier, ofBase] = [Object.fromEntries(keys.slice(0, 1)), Object.fromEntries(keys.slice(1))];
    const made = resolveRecipe({
      id: base,
      params: ofBase,
      modifiers: [{ id: modifier, params: ofModifier }],
    });
    // Functions made by two calls are never equal; what they make is.
    const shape = (of: Recipe): unknown => JSON.parse(JSON.stringify({ ...of, id: "" }));
    expect(shape(recipe(id, params))).toEqual(shape(made));
    if (id === "pf-ppo") return;
    const columns = {
      proximalLogprobs: F.oldLogprobs,
      behaviorLogprobs: F.behaviorLogprobs,
      values: new Float64Array(10),
      rewards: Float64Array.from({ length: 10 }, (_, t) => (t % 3) - 1),
    };
    const batch = withColumns(fixtureBatch(), {
      step: columns,
      row: { bootstrapValues: new Float64Array(4) },
    });
    const [found, expected] = [evaluated(recipe(id, params), batch), evaluated(made, batch)];
    expect(found.cotangents).toEqual(expected.cotangents);
    expect(found.cotangents).not.toEqual(evaluated(recipe(id), batch).cotangents);
  });
});
