/** The studies. Each base is a run file; an arm changes one thing. */
import { finalReturn, meanReturn, returnCurve, type RunFile, type Study } from "./study.js";

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

/** Episodes of one layout, in groups; both arms divide by the group's deviation and weigh rows alike. */
const keyDoor = (id: string, envSteps: number): RunFile => ({
  ...fleet,
  environment: { id },
  groups: { size: 8, tasks: 1_000_000 },
  recipe: {
    params: {
      ...{ batchSteps: 4096, epochs: 4, minibatches: 4, learningRate: 0.001, annealLearningRate: false },
      entropyCoefficient: 0.01,
    },
  },
  stop: { envSteps },
});

const groupInGroup: Study[] = [
  { id: "KeyDoor-v1", name: "gigpo-key-door", steps: 15, envSteps: 160_000 },
  { id: "KeyDoorLong-v1", name: "gigpo-key-door-long", steps: 30, envSteps: 800_000 },
].map(({ id, name, steps, envSteps }) => ({
  name,
  title: `GiGPO and GRPO on ${id}`,
  question:
    `A sparse reward: 1 at the goal, ${steps} right steps away, else nothing. GRPO gives every step of an episode the episode's ` +
    "advantage; GiGPO (Feng et al. 2025) adds what each step was worth among all that were taken in the same state. Does it " +
    "learn more from the same environment steps?",
  base: keyDoor(id, envSteps),
  arms: [
    { name: "grpo", run: { recipe: { id: "grpo" } } },
    {
      name: "gigpo",
      run: {
        recipe: {
          id: "gigpo",
          params: { normalization: "meanStd", aggregation: "seq-mean-token-mean", invalidPenalty: 0 },
        },
      },
    },
  ],
  seeds: 10,
  measures: [
    { ...finalReturn, digits: 3 },
    { ...meanReturn, digits: 3 },
  ],
  claims: [{ measure: "return over the run", kind: "above", a: "gigpo", b: "grpo" }],
  curve: returnCurve,
}));

export const studies: readonly Study[] = [...simplePolicyOptimization, ...groupInGroup];
