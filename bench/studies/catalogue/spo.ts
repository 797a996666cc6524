/** SPO beside PPO. */
import { finalReturn, meanReturn, returnCurve, type Arm, type RunFile, type Study } from "../study.js";
import { fleet } from "./fleet.js";

/** PPO solves CartPole-v1 in it within 70,000 steps. */
const cartPole: RunFile = {
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

const acrobot: RunFile = {
  ...fleet,
  environment: { id: "Acrobot-v1" },
  actors: { processes: 1, fragmentSteps: 64, http: null },
  recipe: { params: { batchSteps: 1024, learningRate: 0.002, scaleRewards: true } },
  stop: { envSteps: 150_000 },
};

const comparison = {
  question:
    "Simple policy optimization (Xie et al. 2024) pulls the ratio back to the edge of the trust region where PPO's clip only " +
    "stops pushing. Is it at least as good on a small task, everything else equal?",
  seeds: 10,
  measures: [finalReturn, meanReturn],
  curve: returnCurve,
};
const ppo: Arm = { name: "ppo", run: { recipe: { id: "ppo" } } };
const spo: Arm = { name: "spo-simple", run: { recipe: { id: "spo-simple" } } };
const wide: Arm = {
  name: "spo-simple, ε = 0.6",
  run: { recipe: { id: "spo-simple", params: { clipEpsilon: 0.6 } } },
};

export const spoStudies: readonly Study[] = [
  {
    ...comparison,
    name: "spo-cartpole",
    title: "SPO's quadratic penalty and PPO's clip on CartPole-v1",
    base: cartPole,
    arms: [ppo, spo],
    claims: [{ measure: "final return", kind: "atLeast", a: "spo-simple", b: "ppo", margin: 25 }],
  },
  {
    ...comparison,
    name: "spo-acrobot",
    title: "SPO's quadratic penalty and PPO's clip on Acrobot-v1",
    question:
      `${comparison.question} With the same ε = 0.2 it takes smaller steps: PPO's clip stops a step's own push at 1 ± ε but not ` +
      "that of the others, and ratios can go far beyond; SPO pulls them back. A wider edge gives it the same room.",
    base: acrobot,
    arms: [ppo, spo, wide],
    claims: [
      { measure: "final return", kind: "atLeast", a: "spo-simple", b: "ppo", margin: 5 },
      { measure: "final return", kind: "atLeast", a: wide.name, b: "ppo", margin: 5 },
    ],
  },
];
