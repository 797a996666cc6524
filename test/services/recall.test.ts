/** A task that only memory solves, from the environment through fragments and batches to the policy and back. */
import { afterAll, describe, expect, it } from "vitest";
import type { Engine } from "../../core/engine/engine.js";
import { createEngine } from "../../core/engine/select.js";
import type { Environment, VectorEnvironment } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import type { Architecture, Model } from "../../core/model/model.js";
import { PolicyRunner } from "../../core/policy/policy-runner.js";
import { deriveSeed, Random } from "../../core/random.js";
import { assembleBatch } from "../../core/slots/batch.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { EpisodeBook, FragmentBuilder } from "../../services/actor/fragment.js";
import { smallRollout } from "./fixture.js";
import { trainBatch } from "../../services/learner/train-batch.js";
import { contextOf } from "./training-fixture.js";

const BLANK = 2;
/** Steps between the cue and the answer. */
const DELAY = 3;

/** Shows a cue, 0 or 1, then blanks; the last action earns 1 where it equals the cue. */
class Recall implements Environment {
  private cue = 0;
  private steps = 0;

  reset({ seed }: { readonly seed: number }): number {
    this.cue = new Random(seed).integer(2);
    this.steps = 0;
    return this.cue;
  }

  step(action: number): ReturnType<Environment["step"]> {
    const terminated = this.steps++ === DELAY;
    const reward = terminated && action === this.cue ? 1 : 0;
    return { observation: BLANK, reward, terminated, truncated: false };
  }
}

const SPEC = {
  ...{ id: "Recall", observationSpace: discrete(3), actionSpace: discrete(2) },
  ...{ maxEpisodeSteps: null, rewardThreshold: null },
};
const COUNT = 32;
/** Not a multiple of an episode's length, so that episodes run on from one fragment into the next. */
const FRAGMENT_STEPS = 14;

const recall = (): VectorEnvironment => vectorizeEnvironment(SPEC, () => new Recall(), COUNT);

const engines: Engine[] = [];
afterAll(() => engines.forEach((engine) => engine.close()));

/** Share of 10 · COUNT answers that are right, each the most probable one. */
async function accuracy(engine: Engine, model: Model): Promise<number> {
  const environment = recall();
  const policy = new PolicyRunner(engine, model, environment);
  await environment.reset(Uint32Array.from({ length: COUNT }, (_, i) => deriveSeed(99, i)));
  let right = 0;
  for (let t = 0; t < 10 * (DELAY + 1); t++) {
    await policy.decide(null);
    await environment.step(policy.environmentActions);
    policy.forgetEnded();
    right += environment.rewards.reduce((sum, reward) => sum + reward, 0);
  }
  return right / (10 * COUNT);
}

/** Accuracy after training for `batches` batches of one fragment each. */
async function train(architecture: Architecture, batches: number): Promise<number> {
  const model = createModel({ ...architecture, observationSpace: discrete(3), actionSpace: discrete(2) });
  const { engine } = await createEngine("tfjs:wasm", model);
  engines.push(engine);
  engine.load(initialWeights(model, 1));
  const environment = recall();
  const policy = new PolicyRunner(engine, model, environment);
  const seeds = Uint32Array.from({ length: COUNT }, (_, i) => deriveSeed(1, i));
  await environment.reset(seeds);
  const recipe = resolveRecipe({
    id: "ppo",
    params: { epochs: 2, minibatches: 2, entropyCoefficient: 0.005, valueClipEpsilon: null },
  });
  const book = new EpisodeBook(COUNT);
  const random = new Random(1);
  for (let k = 0; k < batches; k++) {
    const builder = new FragmentBuilder(environment, book, FRAGMENT_STEPS, seeds, policy.states);
    for (let t = 0; t < FRAGMENT_STEPS; t++) {
      await policy.decide(random);
      builder.decide(policy.actions, policy.logprobs, k);
      await environment.step(policy.environmentActions);
      policy.forgetEnded();
      builder.outcome();
    }
    const batch = assembleBatch([{ ...smallRollout(), columns: builder.finish() }]);
    await trainBatch(engine, recipe, batch, contextOf(0.01, random));
  }
  return accuracy(engine, model);
}

describe("a task whose answer was shown some steps before", () => {
  it("is learned by a recurrent network", async () => {
    expect(await train({ kind: "gru", hidden: [], units: 8 }, 25)).toBeGreaterThan(0.95);
  }, 60_000);

  it("is a matter of luck for a network without memory", async () => {
    const share = await train({ kind: "mlp", hidden: [8] }, 10);
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.6);
  }, 60_000);
});
