/** What all studies' runs begin with: one actor process, one thread of the engine, no pages. */
import type { RunFile } from "../study.js";

export const fleet: RunFile = {
  actors: { processes: 1, http: null },
  learner: { http: null, engineThreads: 1 },
  coordinator: { http: null },
};

/** PPO solves CartPole-v1 in it within 70,000 steps. */
export const cartPole: RunFile = {
  ...fleet,
  environment: { id: "CartPole-v1" },
  actors: { processes: 1, fragmentSteps: 64, http: null },
  recipe: {
    params: {
      batchSteps: 1024,
      epochs: 3,
      learningRate: 0.005,
      lambda: 0.9,
      scaleRewards: true,
      entropyCoefficient: 0,
    },
  },
  stop: { envSteps: 120_000 },
};
