/** Every kernel of the tracing backend, run by ONNX Runtime, against TensorFlow.js's plain JavaScript kernels. */
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { TRACED_KERNELS } from "../../core/engine/onnx/trace.js";
import { KERNEL_CASES } from "./kernel-cases/index.js";
import { gradientOf, runCompiled, runPlain, type Computation, type Input } from "./onnx-run.js";

/** Both compute in float32; exponentials and erf are approximated differently. */
const TOLERANCE = 2e-5;

async function expectSame(compute: Computation, inputs: readonly Input[]): Promise<void> {
  const { results: want } = await runPlain(compute, inputs);
  const got = await runCompiled(compute, inputs);
  expect(got.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(
    want.map(({ shape, dtype }) => ({ shape, dtype })),
  );
  want.forEach(({ data }, k) => {
    data.forEach((x, i) => {
      const y = got[k]!.data[i]!;
      const close = Object.is(x, y) || Math.abs(x - y) <= TOLERANCE * Math.max(1, Math.abs(x));
      expect(close, `output ${k}, number ${i}: expected ${x}, got ${y}`).toBe(true);
    });
  });
}

describe("a traced kernel", () => {
  it.each(KERNEL_CASES)("computes $name", async ({ compute, inputs }) => {
    await expectSame(compute, inputs);
  });

  it.each(KERNEL_CASES.filter(({ gradient }) => gradient))(
    "gives the gradient of $name",
    async ({ compute, inputs }) => {
      await expectSame(gradientOf(compute), inputs);
    },
  );

  it("slices with strides and an axis dropped, as NumPy does and the plain backend does not", async () => {
    const inputs = [{ shape: [2, 4], dtype: "float32", data: [0, 1, 2, 3, 10, 11, 12, 13] }] as const;
    const cut: Computation = (x) => tf.stridedSlice(x, [1, 0], [2, 3], [1, 2], 0, 0, 0, 0, 1);
    // x[1, 0:3:2]
    expect(await runCompiled(cut, inputs)).toEqual([{ shape: [2], dtype: "float32", data: [10, 12] }]);
  });

  it("has a case here", async () => {
    const called = new Set<string>();
    for (const { compute, inputs, gradient } of KERNEL_CASES) {
      for (const run of gradient ? [compute, gradientOf(compute)] : [compute]) {
        for (const name of (await runPlain(run, inputs)).kernels) called.add(name);
      }
    }
    expect(TRACED_KERNELS.filter((name) => !called.has(name))).toEqual([]);
  });
});
