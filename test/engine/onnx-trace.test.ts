/** What tracing makes of model code, and what it says of model code that no graph can hold. */
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { forwardProgram, updateProgram } from "../../core/engine/onnx/program.js";
import { trace } from "../../core/engine/onnx/trace.js";
import { createEngine } from "../../core/engine/select.js";
import { messageOf, SkeinError } from "../../core/errors.js";
import { box, discrete } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import type { Model } from "../../core/model/model.js";
import { parityCases } from "../parity/cases.js";
import { runCompiled, type Input } from "./onnx-run.js";

/** The graph of a function of x [2, 3]. */
function graphOf(compute: (x: tf.Tensor2D) => tf.Tensor): readonly string[] {
  const { graph } = trace((tracing) => {
    const x = tracing.input("x", [2, 3], "float32") as tf.Tensor2D;
    return { outputs: [tracing.valueOf(compute(x))], result: null };
  });
  return graph.nodes.map(({ op }) => op);
}

const X: Input = { shape: [2, 3], dtype: "float32", data: [1, 2, 3, 4, 5, 6] };

describe("a traced function", () => {
  it("is its operations and nothing else", () => {
    expect(graphOf((x) => tf.tanh(tf.mul(x, 2)))).toEqual(["Mul", "Tanh"]);
  });

  it("computes once what is written twice", () => {
    expect(graphOf((x) => tf.mul(tf.exp(x), tf.exp(x)))).toEqual(["Exp", "Mul"]);
  });

  it("adds no zeros and multiplies by no ones, and never spreads a number over a tensor", () => {
    expect(graphOf((x) => tf.mul(tf.add(tf.tanh(x), tf.zerosLike(x)), tf.ones([2, 3])))).toEqual(["Tanh"]);
    expect(graphOf((x) => tf.add(x, tf.fill([2, 3], 4)))).toEqual(["Add"]);
    expect(graphOf((x) => tf.add(x, tf.tile(tf.sum(x, 1, true), [1, 3])))).toEqual(["ReduceSum", "Add"]);
  });

  it("takes transposes into the matrix product and a bias into the same node", () => {
    expect(graphOf((x) => tf.add(tf.matMul(tf.transpose(x), x), tf.tensor1d([1, 2, 3])))).toEqual(["Gemm"]);
  });

  it("may be its input, a constant, or the same result twice", async () => {
    const results = await runCompiled((x) => [x, tf.fill([2], 3), tf.tensor1d([1, 2]), x], [X]);
    expect(results.map(({ data }) => data)).toEqual([X.data, [3, 3], [1, 2], X.data]);
  });

  it("leaves the backend that was active before active after it", async () => {
    await tf.setBackend("cpu");
    graphOf((x) => tf.neg(x));
    expect(tf.getBackend()).toBe("cpu");
    expect(() => graphOf((x) => tf.reverse(x))).toThrow(SkeinError);
    expect(tf.getBackend()).toBe("cpu");
    expect(tf.add(tf.scalar(2), 3).dataSync()[0]).toBe(5);
    expect(graphOf((x) => tf.neg(x))).toEqual(["Neg"]);
  });
});

describe("a model's programs", () => {
  it.each(parityCases())("compute nothing twice: $name", ({ spec, inputs }) => {
    const model = createModel(spec);
    const { steps, sequenceLength = 1, observations, actions } = inputs;
    const shapes = {
      steps,
      sequenceLength,
      observationWidth: observations.length / steps,
      actions: {
        width: actions!.length / steps,
        dtype: actions instanceof Int32Array ? ("int32" as const) : ("float32" as const),
      },
      postDecision: false,
      masked: inputs.actionMasks !== null,
      stateful: inputs.states !== null && model.stateWidth > 0,
    };
    const { first, second } = updateProgram(model, shapes, ["logprob", "entropy", "value"]);
    const { graph } = forwardProgram(model, shapes, ["logprob", "entropy", "value"]);
    // The first part is the forward pass: the same nodes, though it has more outputs.
    expect(first.nodes.length).toBe(graph.nodes.length);
    const early = new Set(first.nodes);
    const again = second.nodes.filter((node) => early.has(node));
    for (const { op, outputs } of again) {
      expect(["Reshape", "Cast", "Expand"].includes(op) || outputs[0]!.dtype === "bool", op).toBe(true);
    }
  });
});

const MLP = createModel({
  kind: "mlp",
  hidden: [4],
  observationSpace: box([3], -1, 1),
  actionSpace: discrete(2),
});

/** A model whose value column is what `value` makes of the observations. */
function modelWith(value: (observations: tf.Tensor2D) => tf.Tensor): Model {
  return {
    ...MLP,
    forward: (parameters, inputs, want) => ({
      ...MLP.forward(parameters, inputs, want),
      value: value(inputs.observations),
    }),
  };
}

const INPUTS = { steps: 2, observations: Float32Array.of(1, 2, 3, 4, 5, 6), actions: Int32Array.of(0, 1) };

/** file:line of the statement after the one that calls this, as a stack trace says it. */
function nextLine(): string {
  const [, place, line] = /\(?(?:file:\/\/)?([^()\s]+):(\d+):\d+\)?$/.exec(
    new Error().stack!.split("\n")[2]!.trim(),
  )!;
  return `${place}:${Number(line) + 1}`;
}

async function complaintOf(model: Model): Promise<SkeinError> {
  const { engine } = await createEngine("onnx:cpu", model);
  try {
    await engine.forward(INPUTS, ["value"]);
  } catch (error) {
    if (error instanceof SkeinError) return error;
    throw error;
  } finally {
    engine.close();
  }
  throw new Error("the model was traced");
}

describe("model code that cannot be traced", () => {
  let where = "";

  it("fails with the operation that has no kernel and the line that calls it", async () => {
    const error = await complaintOf(
      modelWith((x) => {
        where = nextLine();
        const turned = tf.reverse(x, 1);
        return tf.sum(turned, 1);
      }),
    );
    expect(error.code).toBe("TRACE_FAILED");
    expect(error.message).toMatch(
      /^engine onnx: .*its operation Reverse has no kernel .*; .*set engine: tfjs:wasm/,
    );
    expect(error.message).toContain(`(at ${where})`);
  });

  it("fails with what it reads and the line that reads it", async () => {
    const error = await complaintOf(
      modelWith((x) => {
        const total = tf.sum(tf.tanh(x), 1);
        where = nextLine();
        const scale = total.dataSync()[0]! > 0 ? 2 : 3;
        return tf.mul(total, scale);
      }),
    );
    expect(error.code).toBe("TRACE_FAILED");
    expect(error.message).toContain("it reads the result of ReduceSum, whose numbers are not known");
    expect(error.message).toContain(`(at ${where})`);
  });

  it("fails with the input that it reads", async () => {
    const error = await complaintOf(modelWith((x) => tf.mul(tf.sum(x, 1), x.dataSync()[0]!)));
    expect(error.message).toContain("it reads an input, whose numbers are not known");
  });

  it("fails where it brings a tensor along from outside", async () => {
    await tf.setBackend("cpu");
    const outside = tf.tensor1d([1, 2]);
    const error = await complaintOf(
      modelWith((x) => {
        const total = tf.sum(x, 1);
        where = nextLine();
        return tf.mul(total, outside);
      }),
    );
    expect(error.message).toContain("it uses a tensor made outside the model's forward function");
    expect(error.message).toContain(`(at ${where})`);
  });

  it("fails where TensorFlow.js knows no gradient, once it is to be trained", async () => {
    const { engine } = await createEngine("onnx:cpu", {
      ...MLP,
      forward: (parameters, inputs, want) => {
        const { value } = MLP.forward(parameters, inputs, ["value"]);
        return { ...MLP.forward(parameters, inputs, want), value: tf.stridedSlice(value!, [0], [2], [1]) };
      },
    });
    expect((await engine.forward(INPUTS, ["value"])).value).toHaveLength(2);
    const step = { learningRate: 0.1, maxGradNorm: 1, epsilon: 1e-5, beta1: 0.9, beta2: 0.99 };
    const complaint = await engine.update(INPUTS, ["value"], () => ({}), step).then(String, messageOf);
    expect(complaint).toContain("gradient function not found for StridedSlice");
    engine.close();
  });
});
