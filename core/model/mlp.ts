/** Multi-layer perceptron with separate actor and critic, tanh between the layers. */
import * as tf from "@tensorflow/tfjs-core";
import { headFor } from "./heads.js";
import type { Model, ModelSpec, Parameters, ParameterSpec } from "./model.js";
import { encodedWidth, encodeObservations, linear } from "./ops.js";

function layerSpecs(tower: string, widths: readonly number[], outputGain: number): ParameterSpec[] {
  const specs: ParameterSpec[] = [];
  for (let k = 0; k + 1 < widths.length; k++) {
    const gain = k + 2 === widths.length ? outputGain : Math.SQRT2;
    specs.push(
      {
        name: `${tower}/${k}/weight`,
        shape: [widths[k]!, widths[k + 1]!],
        init: { kind: "orthogonal", gain },
      },
      { name: `${tower}/${k}/bias`, shape: [widths[k + 1]!], init: { kind: "constant", value: 0 } },
    );
  }
  return specs;
}

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
 * implementation details of PPO", details 2 and 13); a Gaussian policy has one state-independent log standard
 * deviation per action, initially 0.
 */
export function mlp(spec: Extract<ModelSpec, { kind: "mlp" }>): Model {
  const head = headFor(spec.actionSpace);
  const gaussian = spec.actionSpace.kind === "box";
  const input = encodedWidth(spec.observationSpace);
  const actorOutput = gaussian ? head.outputWidth / 2 : head.outputWidth;
  const layers = spec.hidden.length + 1;
  const parameters = [
    ...layerSpecs("actor", [input, ...spec.hidden, actorOutput], 0.01),
    ...(gaussian
      ? [{ name: "actor/logStd", shape: [actorOutput], init: { kind: "constant", value: 0 } } as const]
      : []),
    ...layerSpecs("critic", [input, ...spec.hidden, 1], 1),
  ];

  const policyOf = (p: Parameters, x: tf.Tensor2D): tf.Tensor2D => {
    const output = tower(p, "actor", layers, x);
    if (!gaussian) return output;
    const logStd = tf.add<tf.Tensor2D>(tf.zerosLike(output), p["actor/logStd"]!);
    return tf.concat([output, logStd], 1);
  };

  return {
    spec,
    parameters,
    policyWidth: head.outputWidth,
    stateWidth: 0,
    forward(p, { observations, actions }, want) {
      const x = encodeObservations(observations, spec.observationSpace);
      const policy = want.some((column) => column !== "value") ? policyOf(p, x) : null;
      return {
        ...(policy !== null && want.includes("policy") ? { policy } : {}),
        ...(policy !== null && actions !== null && want.includes("logprob")
          ? { logprob: head.logprob(policy, actions) }
          : {}),
        ...(policy !== null && want.includes("entropy") ? { entropy: head.entropy(policy) } : {}),
        ...(want.includes("value") ? { value: tf.squeeze(tower(p, "critic", layers, x), [1]) } : {}),
      };
    },
  };
}
