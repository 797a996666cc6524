/** Recurrent network: dense layers, then one layer of gated recurrent units (Cho et al. 2014). */
import * as tf from "@tensorflow/tfjs-core";
import { onTrunk } from "./actor-critic.js";
import { towerSpecs } from "./init.js";
import type { Model, ModelSpec } from "./model.js";
import { encodedWidth, encodeObservations, linear, transposeLast, withGradient } from "./ops.js";

/** r, z, n and what the state gives n, side by side for any number of rows: gates [R, 3U] each, state [R, U]. */
interface Gates {
  readonly reset: tf.Tensor2D;
  readonly update: tf.Tensor2D;
  readonly candidate: tf.Tensor2D;
  readonly recurrent: tf.Tensor2D;
}

function gatesOf(fromInput: tf.Tensor2D, fromState: tf.Tensor2D): Gates {
  const units = fromState.shape[1] / 3;
  const split = (x: tf.Tensor2D): tf.Tensor2D[] => tf.split(x, [2 * units, units], 1);
  const [inputGates, input] = split(fromInput) as [tf.Tensor2D, tf.Tensor2D];
  const [stateGates, recurrent] = split(fromState) as [tf.Tensor2D, tf.Tensor2D];
  const [reset, update] = tf.split(tf.sigmoid(tf.add<tf.Tensor2D>(inputGates, stateGates)), 2, 1) as [
    tf.Tensor2D,
    tf.Tensor2D,
  ];
  const candidate = tf.tanh(tf.add<tf.Tensor2D>(input, tf.mul(reset, recurrent)));
  return { reset, update, candidate, recurrent };
}

/** y·(1 − y): the slope of the logistic function where it is y. */
function sigmoidSlope(y: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(y, tf.sub(1, y));
}

/**
 * States after each of T steps: gates [B, T·3U] from the inputs (r ‖ z ‖ n of step 0, of step 1 …), start [B, U],
 * weight [U, 3U], bias [3U] → [B, T·U]:
 * r, z = σ(gates + h·W + b), n = tanh(gates + r ⊙ (h·W + b)), h' = (1 − z) ⊙ n + z ⊙ h.
 *
 * Backpropagation through time, written out: gates are computed again for all steps at once, so that a step back is
 * one product with the weights and a few sums, and the gradient of the weights is one product over all N = B·T rows.
 * `start` counts as a constant.
 */
function unroll(gates: tf.Tensor2D, start: tf.Tensor2D, weight: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor2D {
  const [batch, units] = start.shape;
  const steps = gates.shape[1] / (3 * units);
  const perStep = (x: tf.Tensor2D): tf.Tensor2D[] => tf.split(x, steps, 1);
  const joined = (parts: tf.Tensor2D[]): tf.Tensor2D => tf.concat(parts, 1);
  const rows = (x: tf.Tensor2D, width: number): tf.Tensor2D => tf.reshape(x, [batch * steps, width]);

  return withGradient<tf.Tensor2D>(
    [gates, weight, bias],
    () => {
      const states: tf.Tensor2D[] = [];
      let state = start;
      for (const stepGates of perStep(gates)) {
        const fromState = tf.add<tf.Tensor2D>(tf.matMul(state, weight), bias);
        const { update, candidate } = gatesOf(stepGates, fromState);
        state = tf.add(candidate, tf.mul(update, tf.sub(state, candidate)));
        states.push(state);
      }
      const value = joined(states);
      return { value, saved: [gates, start, weight, bias, value] };
    },
    (dy, saved) => {
      const [input, first, w, b, states] = saved as [
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor1D,
        tf.Tensor2D,
      ];
      const earlier = tf.slice(states, [0, 0], [-1, (steps - 1) * units]);
      const before = rows(steps === 1 ? first : tf.concat([first, earlier], 1), units);
      const { reset, update, candidate, recurrent } = gatesOf(
        rows(input, 3 * units),
        tf.add<tf.Tensor2D>(tf.matMul(before, w), b),
      );
      // Slopes of h' with respect to what goes into z, n and r, and into n by way of the state.
      const toUpdate = tf.mul<tf.Tensor2D>(tf.sub(before, candidate), sigmoidSlope(update));
      const toCandidate = tf.mul<tf.Tensor2D>(tf.sub(1, update), tf.sub(1, tf.square(candidate)));
      const toReset = tf.mul<tf.Tensor2D>(tf.mul(toCandidate, recurrent), sigmoidSlope(reset));
      const slopes = tf.concat([toReset, toUpdate, tf.mul<tf.Tensor2D>(toCandidate, reset)], 1);

      const stepSlopes = perStep(tf.reshape(slopes, [batch, steps * 3 * units]));
      const stepUpdates = perStep(tf.reshape(update, [batch, steps * units]));
      const back = transposeLast(w);
      const dStates = perStep(dy);
      for (let t = steps - 2; t >= 0; t--) {
        const after = dStates[t + 1]!;
        const dGates = spread(after, stepSlopes[t + 1]!);
        const carried = tf.add(tf.matMul(dGates, back), tf.mul(after, stepUpdates[t + 1]!));
        dStates[t] = tf.add(dStates[t]!, carried);
      }
      const dState = rows(joined(dStates), units);
      const dFromState = spread(dState, slopes);
      const dFromInput = spread(dState, tf.concat([toReset, toUpdate, toCandidate], 1));
      return [
        tf.reshape(dFromInput, [batch, steps * 3 * units]),
        tf.matMul(transposeLast(before), dFromState),
        tf.sum(dFromState, 0),
      ];
    },
  );
}

/** x [R, U] times each of the three parts of slopes [R, 3U]. */
function spread(x: tf.Tensor2D, slopes: tf.Tensor2D): tf.Tensor2D {
  const [rows, units] = x.shape;
  const product = tf.mul(tf.reshape(x, [rows, 1, units]), tf.reshape(slopes, [rows, 3, units]));
  return tf.reshape(product, [rows, 3 * units]);
}

/**
 * Dense tanh layers (gain √2) and a gated recurrent layer with PyTorch's conventions: gates in the order r, z, n, and
 * a bias of its own for the state's part.
 */
export function gru(spec: Extract<ModelSpec, { kind: "gru" }>): Model {
  const { hidden, units, observationSpace } = spec;
  const encoder = [encodedWidth(observationSpace), ...hidden];
  const orthogonal = { kind: "orthogonal", gain: 1 } as const;
  const zero = { kind: "constant", value: 0 } as const;
  return onTrunk(spec, {
    parameters: [
      ...towerSpecs("encoder", encoder),
      { name: "gru/inputWeight", shape: [encoder[encoder.length - 1]!, 3 * units], init: orthogonal },
      { name: "gru/stateWeight", shape: [units, 3 * units], init: orthogonal },
      { name: "gru/inputBias", shape: [3 * units], init: zero },
      { name: "gru/stateBias", shape: [3 * units], init: zero },
    ],
    width: units,
    stateWidth: units,
    run(p, { observations, sequenceLength, states }) {
      let x = encodeObservations(observations, observationSpace);
      for (const k of hidden.keys()) {
        x = tf.tanh(linear(x, p[`encoder/${k}/weight`]!, p[`encoder/${k}/bias`]!));
      }
      const batch = x.shape[0] / sequenceLength;
      const gates = linear(x, p["gru/inputWeight"]!, p["gru/inputBias"]!);
      const all = unroll(
        tf.reshape(gates, [batch, sequenceLength * 3 * units]),
        states ?? tf.zeros([batch, units]),
        p["gru/stateWeight"] as tf.Tensor2D,
        p["gru/stateBias"] as tf.Tensor1D,
      );
      return {
        features: tf.reshape(all, [batch * sequenceLength, units]),
        state: () => tf.slice(all, [0, (sequenceLength - 1) * units], [-1, units]),
      };
    },
  });
}
