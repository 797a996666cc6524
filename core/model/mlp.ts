/** Multi-layer perceptron with separate actor and critic, tanh between the layers. */
import * as tf from "@tensorflow/tfjs-core";
import { actorCritic, valuesComponents } from "./actor-critic.js";
import { headFor } from "./heads.js";
import { towerSpecs } from "./init.js";
import type { Model, ModelSpec, Parameters } from "./model.js";
import { encodedWidth, encodeObservations, linear } from "./ops.js";

function tower(parameters: Parameters, name: string, layers: number, input: tf.Tensor2D): tf.Tensor2D {
  let x = input;
  for (let k = 0; k < layers; k++) {
    x = linear(x, parameters[`${name}/${k}/weight`]!, parameters[`${name}/${k}/bias`]!);
    if (k + 1 < layers) x = tf.tanh(x);
  }
  return x;
}

/**
 * Orthogonal initialisation with gain √2, 0.01 for the policy's output and 1 for the value's ("The 37
 * implementation details of PPO", details 2 and 13).
 */
export function mlp(spec: Extract<ModelSpec, { kind: "mlp" }>): Model {
  const head = headFor(spec);
  const space = spec.observationSpace;
  const input = encodedWidth(space);
  const layers = spec.hidden.length + 1;
  const widths = [input, ...spec.hidden];
  const ofComponents = valuesComponents(spec, head);
  const post = spec.postDecisionCritic === true;
  return actorCritic(spec, head, {
    parameters: [
      ...towerSpecs("actor", [...widths, head.outputWidth], 0.01),
      ...head.parameters,
      ...(spec.critic === false ? [] : towerSpecs("critic", [...widths, 1], 1)),
      ...(post ? towerSpecs("postCritic", [...widths, 1], 1) : []),
      ...(ofComponents ? towerSpecs("componentCritic", [...widths, head.components], 1) : []),
    ],
    stateWidth: 0,
    run(p, { observations, postObservations }) {
      const x = encodeObservations(observations, space);
      const after = post && postObservations !== null ? encodeObservations(postObservations, space) : null;
      return {
        actor: () => tower(p, "actor", layers, x),
        critic: () => tower(p, "critic", layers, x),
        ...(after !== null ? { postCritic: () => tower(p, "postCritic", layers, after) } : {}),
        ...(ofComponents ? { componentCritic: () => tower(p, "componentCritic", layers, x) } : {}),
      };
    },
  });
}
