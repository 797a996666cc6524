/** Learning from rollouts of older policies. */
import { finalReturn, meanPolicyLag, meanReturn, returnCurve, type RunFile, type Study } from "../study.js";
import { fleet } from "./fleet.js";

const LAG = 8;

/** Each of eight threads plays a whole batch, so that where lag is allowed each batch is about as old as there are threads. */
const base: RunFile = {
  ...fleet,
  environment: { id: "CartPole-v1" },
  actors: { processes: 1, threads: 8, environments: 8, fragmentSteps: 64, http: null },
  recipe: { params: { batchSteps: 512, learningRate: 0.0025, annealLearningRate: false } },
  stop: { envSteps: 150_000 },
};

const clipped = {
  ...{ epochs: 10, clipEpsilon: 0.05, lambda: 0.95, scaleRewards: true, entropyCoefficient: 0 },
};
/** One step a batch, hence smaller batches; CartPole's rewards are all 1, of which the clip makes 0.05. */
const vtrace = {
  ...{ batchSteps: 256, learningRate: 0.0005, lambda: 0.95, rewardClip: 0.05, entropyCoefficient: 0.01 },
};

const arm = (
  id: string,
  params: RunFile,
  maxPolicyLag: number,
  actors: RunFile = {},
): Study["arms"][number] => ({
  name: `${id}, lag ${maxPolicyLag}`,
  run: { recipe: { id, params }, staleness: { maxPolicyLag }, actors },
});

export const lagStudies: readonly Study[] = [
  {
    name: "policy-lag",
    title: `What ${LAG} versions of lag cost PPO, decoupled PPO and V-trace`,
    question:
      `CartPole-v1 with \`maxPolicyLag\` ${LAG} and, for comparison, 0. PPO's clip lies around the policy that acted: where that is ` +
      `${LAG} versions old, most of the room is used up before a batch is trained on. Decoupled PPO puts the clip around a recent ` +
      "policy (Fu et al. 2025; their table has 35.7 for PPO and 41.0 for the decoupled objective at that lag, on another task); " +
      "V-trace (Espeholt et al. 2018) has truncated importance weights and no clip. PPO here has ten epochs and ε = 0.05, so that " +
      "the clip binds; V-trace takes one step a batch and is slower at any lag.",
    base,
    arms: [
      arm("ppo", clipped, 0),
      arm("ppo", clipped, LAG),
      arm("decoupled-ppo", clipped, LAG),
      arm("vtrace", vtrace, 0, { fragmentSteps: 32 }),
      arm("vtrace", vtrace, LAG, { fragmentSteps: 32 }),
    ],
    seeds: 10,
    measures: [meanReturn, finalReturn, meanPolicyLag],
    claims: [
      { measure: meanReturn.name, kind: "above", a: "ppo, lag 0", b: `ppo, lag ${LAG}` },
      { measure: meanReturn.name, kind: "above", a: `decoupled-ppo, lag ${LAG}`, b: `ppo, lag ${LAG}` },
      { measure: meanReturn.name, kind: "atLeast", a: `vtrace, lag ${LAG}`, b: "vtrace, lag 0", margin: 25 },
    ],
    curve: returnCurve,
  },
];
