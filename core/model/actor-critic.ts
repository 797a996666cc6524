/** From a family's networks to a Model: the columns, and the layers on top of a trunk that actor and critic share. */
import type * as tf from "@tensorflow/tfjs-core";
import { squeeze } from "@tensorflow/tfjs-core";
import { headFor, type Head } from "./heads.js";
import { denseSpecs } from "./init.js";
import type { Model, ModelInputs, ModelSpec, OutputColumn, Parameters, ParameterSpec } from "./model.js";
import { linear } from "./ops.js";

/** What a network gives for N steps of B sequences; each is computed when asked for. */
export interface Outputs {
  /** [N, head.outputWidth] */
  actor(): tf.Tensor2D;
  /** [N, 1] */
  critic(): tf.Tensor2D;
  /** [N, 1] of the post-decision observations, where it values them */
  postCritic?(): tf.Tensor2D;
  /** [N, K]; for mixtures of K components */
  componentCritic?(): tf.Tensor2D;
  /** [B, S]; for networks with memory */
  state?(): tf.Tensor2D;
}

export interface Network {
  readonly parameters: readonly ParameterSpec[];
  readonly stateWidth: number;
  run(parameters: Parameters, inputs: ModelInputs): Outputs;
}

const OF_POLICY: ReadonlySet<OutputColumn> = new Set(["policy", "logprob", "entropy"]);

export function actorCritic(spec: ModelSpec, head: Head, network: Network): Model {
  return {
    spec,
    parameters: network.parameters,
    policyWidth: head.policyWidth,
    stateWidth: network.stateWidth,
    forward(p, inputs, want) {
      const outputs = network.run(p, inputs);
      const needsPolicy = want.some((column) => OF_POLICY.has(column));
      const policy = needsPolicy ? head.distribution(outputs.actor(), p, inputs.actionMasks) : null;
      return {
        ...(policy !== null && want.includes("policy") ? { policy: policy.policy() } : {}),
        ...(policy !== null && want.includes("logprob") && inputs.actions !== null
          ? { logprob: policy.logprob(inputs.actions) }
          : {}),
        ...(policy !== null && want.includes("entropy") ? { entropy: policy.entropy() } : {}),
        ...(want.includes("value") && spec.critic !== false ? { value: squeeze(outputs.critic(), [1]) } : {}),
        ...(outputs.postCritic !== undefined && want.includes("postValue")
          ? { postValue: squeeze(outputs.postCritic(), [1]) }
          : {}),
        ...(outputs.componentCritic !== undefined && want.includes("componentValues")
          ? { componentValues: outputs.componentCritic() }
          : {}),
        ...(outputs.state !== undefined && want.includes("state") ? { state: outputs.state() } : {}),
      };
    },
  };
}

/** Whether the network has a critic of each component. */
export function valuesComponents({ critic }: ModelSpec, { components }: Head): boolean {
  return components > 0 && critic !== false;
}

/** Features that actor and critic share. */
export interface Trunk {
  readonly parameters: readonly ParameterSpec[];
  /** F */
  readonly width: number;
  readonly stateWidth: number;
  /** features [N, F]; state as in Outputs */
  run(parameters: Parameters, inputs: ModelInputs): { features: tf.Tensor2D; state?: () => tf.Tensor2D };
}

/** One linear layer for the actor (gain 0.01) and one for each critic (gain 1) on top of a trunk. */
export function onTrunk(spec: ModelSpec, trunk: Trunk): Model {
  const head = headFor(spec);
  const ofComponents = valuesComponents(spec, head);
  return actorCritic(spec, head, {
    parameters: [
      ...trunk.parameters,
      ...denseSpecs("actor", trunk.width, head.outputWidth, 0.01),
      ...head.parameters,
      ...(spec.critic === false ? [] : denseSpecs("critic", trunk.width, 1, 1)),
      ...(ofComponents ? denseSpecs("componentCritic", trunk.width, head.components, 1) : []),
    ],
    stateWidth: trunk.stateWidth,
    run(p, inputs) {
      const { features, ...rest } = trunk.run(p, inputs);
      return {
        actor: () => linear(features, p["actor/weight"]!, p["actor/bias"]!),
        critic: () => linear(features, p["critic/weight"]!, p["critic/bias"]!),
        ...(ofComponents
          ? {
              componentCritic: () =>
                linear(features, p["componentCritic/weight"]!, p["componentCritic/bias"]!),
            }
          : {}),
        ...rest,
      };
    },
  });
}
