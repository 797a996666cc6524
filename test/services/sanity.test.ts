/**
 * The sanity environments, each learned for real and within seconds: actor's player, recipe, trainer, engine. What each
 * catches is said in envs/sanity; below, next to what is learned, what a broken build would come to.
 */
import { MessageChannel } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { createEngine } from "../../core/engine/select.js";
import { createModel } from "../../core/model/create.js";
import type { Architecture } from "../../core/model/model.js";
import { PolicyRunner } from "../../core/policy/policy-runner.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { RolloutRequest } from "../../core/types.js";
import { findEnvironment } from "../../envs/index.js";
import { FragmentPlayer } from "../../services/actor/fragment-player.js";
import { LiveWeights } from "../../services/actor/live-weights.js";
import { EpisodeWindow } from "../../services/learner/episode-window.js";
import { freshStart, Trainer } from "../../services/learner/trainer.js";
import { smallRollout } from "./fixture.js";

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

const INSTANCES = 16;
const FRAGMENT_STEPS = 16;
const MLP: Architecture = { kind: "mlp", hidden: [16] };
const GRU: Architecture = { kind: "gru", hidden: [16], units: 16 };

interface Lesson {
  /** Batches of INSTANCES · FRAGMENT_STEPS steps. */
  readonly batches: number;
  readonly architecture?: Architecture;
  readonly recipe?: Readonly<Record<string, unknown>>;
}

interface Learned {
  /** Of the last 100 episodes. */
  readonly meanReturn: number;
  /** The critic's answer to each of these observations, for networks without memory. */
  readonly values: (...observations: readonly number[]) => Promise<number[]>;
}

/** Trains PPO on an environment with numbered observations, its parameters the defaults. */
async function learn(id: string, { batches, architecture = MLP, recipe = {} }: Lesson): Promise<Learned> {
  const definition = findEnvironment(id);
  const given = definition.params.parse({});
  const environment = definition.vectorize(definition.spec(given), given, INSTANCES);
  const { observationSpace, actionSpace } = environment.spec;
  const model = createModel({ ...architecture, observationSpace, actionSpace });
  const params = {
    ...{ batchSteps: INSTANCES * FRAGMENT_STEPS, minibatches: 1, learningRate: 0.01 },
    ...{ entropyCoefficient: 0, valueClipEpsilon: null, lambda: 0.9 },
    ...recipe,
  };
  const { engine: learners } = await createEngine("tfjs:wasm", model);
  const { engine: actors } = await createEngine("tfjs:wasm", model);
  const { port1, port2 } = new MessageChannel();
  closing.push(() => [learners, actors, port1].forEach((thing) => thing.close()));
  const trainer = new Trainer(resolveRecipe({ id: "ppo", params }), learners, freshStart(model, 1), () => 0);
  const weights = new LiveWeights(actors, port2);
  weights.swap(trainer.weights);
  const policy = new PolicyRunner(actors, model, environment);
  const player = new FragmentPlayer(environment, policy, weights, FRAGMENT_STEPS, new Uint32Array(1));
  const window = new EpisodeWindow([], 0);
  for (let version = 1; version <= batches; version++) {
    const request: RolloutRequest = {
      ...{ requestId: version, task: "seat-0", group: version, member: 0, attempt: 1, seat: 0, seed: 7 },
      ...{ start: "continue", limits: { maxSteps: 0, deadlineSeconds: 0 } },
      ...{ policyVersion: version - 1, exact: true, branches: null },
    };
    const { columns } = await player.collect(request);
    window.add(columns.rowCounters["episodeReturn"]);
    const rollout = { ...smallRollout({ group: version }), columns };
    weights.swap((await trainer.train([rollout], params.learningRate, version)).weights);
  }
  return {
    meanReturn: window.meanReturn,
    values: async (...observations) => {
      const inputs = { observations: Float32Array.from(observations), actions: null };
      return [...(await actors.forward({ ...inputs, steps: observations.length }, ["value"])).value];
    },
  };
}

describe("what is learned", () => {
  it("Bandit-v1: the arm that pays; random play gets 0.2, a gradient of the wrong sign 0", async () => {
    const { meanReturn } = await learn("Bandit-v1", { batches: 25 });
    expect(meanReturn).toBeGreaterThan(0.9);
  });

  it("ContextBandit-v1: the arm that is shown, and that it is worth 1; blind play gets 0.2", async () => {
    const { meanReturn, values } = await learn("ContextBandit-v1", { batches: 40 });
    expect(meanReturn).toBeGreaterThan(0.9);
    for (const value of await values(0, 1, 2, 3, 4)) expect(Math.abs(value - 1)).toBeLessThan(0.2);
  });

  it("Discount-v1: to wait where γ⁴ > 0.5, values being γ^k with k steps to go", async () => {
    // (γλ)⁴ is 0.05: the reward reaches the choice through the critic.
    const { meanReturn, values } = await learn("Discount-v1", {
      batches: 60,
      recipe: { gamma: 0.95, lambda: 0.5, entropyCoefficient: 0.02 },
    });
    expect(meanReturn).toBeGreaterThan(0.9);
    const found = await values(0, 1, 2, 3, 4);
    [0.95 ** 4, 0.95 ** 3, 0.95 ** 2, 0.95, 1].forEach((value, k) =>
      expect(Math.abs(found[k]! - value)).toBeLessThan(0.12),
    );
  });

  it("Discount-v1: not to wait where γ⁴ < 0.5; without a discount it would, for 1", async () => {
    const { meanReturn } = await learn("Discount-v1", { batches: 40, recipe: { gamma: 0.7 } });
    expect(meanReturn).toBeLessThan(0.6);
    expect(meanReturn).toBeGreaterThan(0.45);
  });

  it("Truncation-v1: to stay, worth 10 at γ = 0.9; a cut taken for an end would make leaving, for 7.5, better", async () => {
    const { meanReturn, values } = await learn("Truncation-v1", {
      batches: 60,
      recipe: { gamma: 0.9, lambda: 0.95, entropyCoefficient: 0.1 },
    });
    expect(meanReturn).toBeGreaterThan(9.5);
    for (const value of await values(0, 1)) expect(Math.abs(value - 10)).toBeLessThan(1);
  });

  it("Memory-v1: the cue, with memory", async () => {
    const { meanReturn } = await learn("Memory-v1", { batches: 45, architecture: GRU });
    expect(meanReturn).toBeGreaterThan(0.9);
  });

  it("Memory-v1: nothing without memory, so that the cue cannot be seen in another way", async () => {
    const { meanReturn } = await learn("Memory-v1", { batches: 25 });
    // Mean of 100 choices of ±1: five standard deviations.
    expect(Math.abs(meanReturn)).toBeLessThan(0.5);
  });

  it("Masked-v1: the highest action that is allowed; −0.2 at best without masks", async () => {
    const { meanReturn } = await learn("Masked-v1", { batches: 30 });
    expect(meanReturn).toBeGreaterThan(0.85);
  });
});
