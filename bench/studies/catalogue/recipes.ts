/** Every method beside a policy that stays as it is. */
import { recipeRun } from "../../recipe-runs.js";
import { finalReturn, meanReturn, returnCurve, type Arm, type RunFile, type Study } from "../study.js";
import { fleet } from "./fleet.js";

interface Family {
  readonly name: string;
  readonly title: string;
  readonly ids: readonly string[];
  readonly envSteps: number;
  readonly params?: RunFile;
  readonly digits?: number;
}

export const families: readonly Family[] = [
  {
    name: "critic",
    title: "Methods with a critic on CartPole-v1",
    ids: [
      ...["ppo", "ppo-kl", "ppo-max", "trpo", "spo-simple", "taypo", "t-ppo", "vtrace", "decoupled-ppo"],
      ...["pf-ppo", "polychromic", "remix"],
    ],
    envSteps: 60_000,
  },
  {
    name: "groups",
    title: "Methods with a group for a baseline on CartPole-v1",
    ids: [
      ...["grpo", "dr-grpo", "rloo", "reinforce-pp", "dapo", "gspo", "cispo", "bnpo", "lite-ppo", "gmpo"],
      ...["sapo", "tis"],
    ],
    envSteps: 60_000,
  },
  {
    name: "weights",
    title: "Methods that weigh the rows of a group on CartPole-v1",
    ids: ["copo", "delta-l", "seed-grpo", "egsw", "canon", "riskpo", "oblr-po", "grape", "brpo"],
    envSteps: 60_000,
  },
  {
    name: "entropy",
    title: "Methods that watch entropy on CartPole-v1",
    ids: ["clip-cov", "kl-cov", "epo", "spine", "pear"],
    envSteps: 60_000,
  },
  {
    name: "regression",
    title: "Methods that fit values or ratios on CartPole-v1",
    ids: ["rover", "a-star-po", "copg", "shiq"],
    envSteps: 60_000,
  },
  {
    name: "frozen-lake",
    title: "Methods for states that come again, post-decision states, or plain success, on FrozenLake-v1",
    ids: ["gigpo", "pdppo", "ares", "nft"],
    envSteps: 100_000,
    digits: 3,
  },
  {
    name: "pendulum",
    title: "Methods of several Gaussians on Pendulum-v1",
    ids: ["pmoe"],
    envSteps: 200_000,
  },
];

const oncePerBatch = { batchSteps: 1024, minibatches: 4, learningRate: 0.002, annealLearningRate: false };
const params = { ...oncePerBatch, epochs: 4 };

function studyOf({ name, title, ids, envSteps, digits = 1, params: own }: Family): Study {
  const runOf = (id: string, more: RunFile = {}): RunFile =>
    recipeRun(id, { ...(id === "trpo" ? oncePerBatch : params), ...own, ...more });
  const untrained: Arm = { name: "untrained", run: runOf(ids[0]!, { learningRate: 1e-12 }) };
  return {
    name: `recipes-${name}`,
    title,
    question:
      "Does each learn, on a small task, with the same batches, step size and network? Not which is best: most are made for " +
      "other tasks, and nothing is tuned for any.",
    base: { ...fleet, stop: { envSteps } },
    arms: [untrained, ...ids.map((id) => ({ name: id, run: runOf(id) }))],
    seeds: 5,
    measures: [
      { ...finalReturn, digits },
      { ...meanReturn, digits },
    ],
    claims: ids.map((id) => ({ measure: finalReturn.name, kind: "above", a: id, b: untrained.name })),
    curve: returnCurve,
  };
}

export const recipeStudies: readonly Study[] = families.map(studyOf);
