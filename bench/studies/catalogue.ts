/** The studies. Each base is a run file; an arm changes one thing. */
import { finalReturn, meanReturn, meanStat, returnCurve, type RunFile, type Study } from "./study.js";

const fleet: RunFile = {
  actors: { processes: 1, http: null },
  learner: { http: null, engineThreads: 1 },
  coordinator: { http: null },
};

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

const simplePolicyOptimization: Study[] = [
  { environment: "CartPole-v1", name: "spo-cartpole", base: cartPole, margin: 25 },
  {
    ...{ environment: "Acrobot-v1", name: "spo-acrobot", margin: 5 },
    base: {
      ...fleet,
      environment: { id: "Acrobot-v1" },
      actors: { processes: 1, fragmentSteps: 64, http: null },
      recipe: { params: { batchSteps: 1024, learningRate: 0.002, scaleRewards: true } },
      stop: { envSteps: 150_000 },
    },
  },
].map(({ environment, name, base, margin }) => ({
  name,
  title: `SPO's quadratic penalty and PPO's clip on ${environment}`,
  question:
    "Simple policy optimization (Xie et al. 2024) pulls the ratio back to the edge of the trust region where PPO's clip only " +
    "stops pushing. Is it at least as good on a small task, everything else equal?",
  base,
  arms: [
    { name: "ppo", run: { recipe: { id: "ppo" } } },
    { name: "spo-simple", run: { recipe: { id: "spo-simple" } } },
  ],
  seeds: 10,
  measures: [finalReturn, meanReturn],
  claims: [{ measure: "final return", kind: "atLeast", a: "spo-simple", b: "ppo", margin }],
  curve: returnCurve,
}));

export const studies: readonly Study[] = [...simplePolicyOptimization];
void meanStat;
