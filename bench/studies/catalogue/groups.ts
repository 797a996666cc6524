/** Methods that compare the members of a group. */
import {
  finalReturn,
  informativeGroups,
  meanReturn,
  returnCurve,
  type Arm,
  type RunFile,
  type Study,
} from "../study.js";
import { fleet } from "./fleet.js";

/** Episodes of one layout, in groups; all arms weigh rows alike. */
const inGroups = (
  id: string,
  { batchSteps, envSteps }: { readonly batchSteps: number; readonly envSteps: number },
): RunFile => ({
  ...fleet,
  environment: { id },
  groups: { size: 8, tasks: 1_000_000 },
  recipe: {
    params: {
      ...{ batchSteps, epochs: 4, minibatches: 4, learningRate: 0.001, annealLearningRate: false },
      entropyCoefficient: 0.01,
    },
  },
  stop: { envSteps },
});

const grpo: Arm = { name: "grpo", run: { recipe: { id: "grpo" } } };
/** Divides by the group's deviation and weighs rows, as `grpo` does here. */
const gigpo: Arm = {
  name: "gigpo",
  run: {
    recipe: {
      id: "gigpo",
      params: { normalization: "meanStd", aggregation: "seq-mean-token-mean", invalidPenalty: 0 },
    },
  },
};
const dynamicSampling: Arm = {
  name: "grpo, dynamic sampling",
  run: {
    recipe: { id: "grpo", modifiers: [{ id: "dynamic-sampling", params: { maxFilteredBatches: 10 } }] },
  },
};

const ofReturns = {
  seeds: 10,
  measures: [
    { ...finalReturn, digits: 3 },
    { ...meanReturn, digits: 3 },
  ],
  curve: returnCurve,
};

export const groupStudies: readonly Study[] = [
  ...[
    { id: "KeyDoor-v1", name: "gigpo-key-door", steps: 15, envSteps: 160_000 },
    { id: "KeyDoorLong-v1", name: "gigpo-key-door-long", steps: 30, envSteps: 400_000 },
  ].map(({ id, name, steps, envSteps }): Study => ({
    ...ofReturns,
    name,
    title: `GiGPO and GRPO on ${id}`,
    question:
      `A sparse reward: 1 at the goal, ${steps} right steps away, else nothing. GRPO gives every step of an episode the episode's ` +
      "advantage; GiGPO (Feng et al. 2025) adds what each step was worth among all that were taken in the same state. Does it " +
      "learn more from the same environment steps?",
    base: inGroups(id, { batchSteps: 4096, envSteps }),
    arms: [grpo, gigpo],
    claims: [{ measure: "return over the run", kind: "above", a: "gigpo", b: "grpo" }],
  })),
  {
    ...ofReturns,
    name: "dynamic-sampling",
    title: "GRPO with and without dynamic sampling on KeyDoor-v1",
    question:
      "A group whose members all fail, or all succeed, has no advantage and no gradient. Dynamic sampling (DAPO, Yu et al. 2025) " +
      "keeps such groups out of the batch and asks for others. Environment steps here are those trained on; the steps kept out " +
      "are played too.",
    base: inGroups("KeyDoor-v1", { batchSteps: 2048, envSteps: 30_000 }),
    arms: [grpo, dynamicSampling],
    measures: [informativeGroups, ...ofReturns.measures],
    claims: [{ measure: informativeGroups.name, kind: "above", a: dynamicSampling.name, b: "grpo" }],
  },
];
