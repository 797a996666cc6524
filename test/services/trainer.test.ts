import { describe, expect, it } from "vitest";
import type { Engine } from "../../core/engine/engine.js";
import { box, discrete } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import { Random } from "../../core/random.js";
import { assembleBatch } from "../../core/slots/batch.js";
import { initialMoments, observe, std } from "../../core/algo/running-moments.js";
import { freshStart, Trainer, type TrainerState } from "../../services/learner/trainer.js";
import { trainBatch } from "../../services/learner/train-batch.js";
import { TimedEngine } from "../../services/learner/timed-engine.js";
import { failureOf } from "../transport/helpers.js";
import { contextOf, batchOf, CONFIG, MODEL, newEngine, newTrainer, RECIPE } from "./training-fixture.js";

const SEED = CONFIG.run.seed;

/** As a checkpoint keeps it: trackers as JSON. */
function stored(state: TrainerState): TrainerState {
  const trackers = JSON.parse(JSON.stringify(state.trackers)) as Record<string, unknown>;
  return { ...structuredClone({ ...state, trackers: {} }), trackers };
}

describe("a trainer", () => {
  it("trains its first batch with the returns of that very batch observed, from the seed's weights and shuffles", async () => {
    const trainer = await newTrainer();
    const trained = await trainer.train(batchOf(1), 0.01, 1);

    const start = freshStart(MODEL, SEED);
    const engine = await newEngine();
    engine.load(start.weights);
    const batch = assembleBatch(batchOf(1));
    // R = γR + r along each row, from 0.
    const returns: number[] = [];
    for (let row = 0; row + 1 < batch.offsets.length; row++) {
      let running = 0;
      for (let t = batch.offsets[row]!; t < batch.offsets[row + 1]!; t++) {
        running = 0.99 * running + batch.step["rewards"]![t]!;
        returns.push(running);
      }
    }
    const scale = std(observe(initialMoments, Float64Array.from(returns)));
    const [tracker] = Object.keys(RECIPE.trackers);
    const readings = { [tracker!]: { std: scale } };
    const random = Random.fromState(start.random);
    const { stats } = await trainBatch(engine, RECIPE, batch, { ...contextOf(0.01, random), readings });

    expect(trained.weights).toEqual(engine.weights(1));
    expect(trained).toMatchObject({ updates: 6, skipped: 0, stats });
    expect((await trainer.state()).random).toEqual(random.state());
  });

  it("labels weights with the version it is told, and gives copies", async () => {
    const trainer = await newTrainer();
    expect(trainer.weights.version).toBe(0);
    const first = await trainer.train(batchOf(1), 0.01, 1);
    const kept = structuredClone(first.weights);
    const second = await trainer.train(batchOf(2), 0.01, 7);
    expect([first.weights.version, second.weights.version]).toEqual([1, 7]);
    expect(first.weights).toEqual(kept);
    expect(second.weights.tensors).not.toEqual(first.weights.tensors);
  });

  it("goes on from a stored state bit for bit as if it had never stopped", async () => {
    const [straight, before] = [await newTrainer(), await newTrainer()];
    for (const k of [1, 2])
      for (const trainer of [straight, before]) await trainer.train(batchOf(k), 0.01, k);
    const after = await newTrainer(stored(await before.state()));
    for (const k of [3, 4]) {
      const [a, b] = [await straight.train(batchOf(k), 0.01, k), await after.train(batchOf(k), 0.01, k)];
      expect(b).toEqual(a);
    }
    expect(await after.state()).toEqual(await straight.state());
    expect((await after.state()).weights.version).toBe(4);
  });

  it("depends on every part of the state", async () => {
    const before = await newTrainer();
    await before.train(batchOf(1), 0.01, 1);
    const state = stored(await before.state());
    const onward = async (start: TrainerState) =>
      (await (await newTrainer(start)).train(batchOf(2), 0.01, 2)).weights;
    const whole = await onward(state);
    const { optimizer } = await (await newTrainer()).state();
    const other = {
      weights: { ...freshStart(MODEL, SEED).weights, version: 1 },
      optimizer,
      random: new Random(77).state(),
      trackers: {},
    };
    for (const part of ["weights", "optimizer", "random", "trackers"] as const) {
      expect((await onward({ ...state, [part]: other[part] })).tensors, part).not.toEqual(whole.tensors);
    }
  });

  it("refuses the weights of another model", async () => {
    const wider = createModel({
      ...{ kind: "mlp", hidden: [7], observationSpace: box([4], -1, 1), actionSpace: discrete(2) },
    });
    const refused = failureOf(newTrainer(freshStart(wider, SEED)));
    expect((await refused).code).toBe("CHECKPOINT_MISMATCH");
  });

  it("says where the time of a batch went", async () => {
    let clock = 0;
    // 3 s to run forward, 5 s to update around the loss.
    class SlowEngine extends TimedEngine {
      override forward: Engine["forward"] = (inputs, want) => {
        clock += 3;
        return super.forward(inputs, want);
      };
      override update: Engine["update"] = async (...given) => {
        clock += 1;
        const stats = await super.update(...given);
        clock += 4;
        return stats;
      };
    }
    const engine = new SlowEngine(await newEngine(), () => 0);
    // 100 s for a minibatch's loss.
    const terms = RECIPE.terms.map((term, k) => {
      const slowly: typeof term.evaluate = (...given) => {
        if (k === 0) clock += 100;
        return term.evaluate(...given);
      };
      return { ...term, evaluate: slowly };
    });
    // Trackers observe for 20 s.
    const trackers = Object.fromEntries(
      Object.entries(RECIPE.trackers).map(([name, tracker]) => {
        const observing = (...given: Parameters<typeof tracker.observe>): unknown => {
          clock += 20;
          return tracker.observe(...given);
        };
        return [name, { ...tracker, observe: observing }];
      }),
    );
    const trainer = new Trainer({ ...RECIPE, trackers, terms }, engine, freshStart(MODEL, SEED), () => clock);
    // One forward over the steps and the final observations; 2 epochs of 3 minibatches.
    const expected = { assemble: 20, evaluate: 3, update: 6 * 5, derive: 6 * 100, minibatch: 0 };
    expect((await trainer.train(batchOf(1), 0.01, 1)).seconds).toEqual(expected);
    expect((await trainer.train(batchOf(2), 0.01, 2)).seconds).toEqual(expected);
  });
});
