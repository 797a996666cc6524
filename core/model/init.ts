/** First values of a network's parameters: the same seed gives the same network on every engine. */
import { deriveSeed, Random } from "../random.js";
import type { NamedTensor, WeightsSnapshot } from "../types.js";
import type { Initializer, Model, ParameterSpec } from "./model.js";

/** Orthonormalises the rows of a [rows, columns] matrix, rows ≤ columns, by modified Gram–Schmidt. */
function orthonormalRows(rows: number, columns: number, random: Random): Float64Array {
  const q = new Float64Array(rows * columns);
  for (let i = 0; i < q.length; i++) q[i] = random.normal();
  for (let r = 0; r < rows; r++) {
    for (let other = 0; other < r; other++) {
      let dot = 0;
      for (let c = 0; c < columns; c++) dot += q[r * columns + c]! * q[other * columns + c]!;
      for (let c = 0; c < columns; c++) q[r * columns + c]! -= dot * q[other * columns + c]!;
    }
    let norm = 0;
    for (let c = 0; c < columns; c++) norm += q[r * columns + c]! ** 2;
    norm = Math.sqrt(norm);
    for (let c = 0; c < columns; c++) q[r * columns + c]! /= norm;
  }
  return q;
}

function initialValues(shape: readonly number[], init: Initializer, random: Random): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  if (init.kind === "constant") return new Float32Array(size).fill(init.value);
  if (init.kind === "normal") return Float32Array.from({ length: size }, () => init.std * random.normal());
  const columns = shape[shape.length - 1]!;
  const rows = size / columns;
  const wide = rows <= columns;
  const q = orthonormalRows(Math.min(rows, columns), Math.max(rows, columns), random);
  const values = new Float32Array(size);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      values[r * columns + c] = init.gain * (wide ? q[r * columns + c]! : q[c * rows + r]!);
    }
  }
  return values;
}

function initialTensor(spec: ParameterSpec, seed: number): NamedTensor {
  const random = new Random(deriveSeed(seed, "init", spec.name));
  return {
    name: spec.name,
    dtype: "float32",
    shape: spec.shape,
    data: initialValues(spec.shape, spec.init, random),
  };
}

/** Weight [inputs, outputs], orthogonal, and bias [outputs], 0, of the linear layer `name`. */
export function denseSpecs(name: string, inputs: number, outputs: number, gain: number): ParameterSpec[] {
  return [
    { name: `${name}/weight`, shape: [inputs, outputs], init: { kind: "orthogonal", gain } },
    { name: `${name}/bias`, shape: [outputs], init: { kind: "constant", value: 0 } },
  ];
}

/** The layers `name/0`, `name/1` … between `widths`; gain √2, of the last one `outputGain`. */
export function towerSpecs(
  name: string,
  widths: readonly number[],
  outputGain = Math.SQRT2,
): ParameterSpec[] {
  return widths.slice(1).flatMap((outputs, k) => {
    const gain = k + 2 === widths.length ? outputGain : Math.SQRT2;
    return denseSpecs(`${name}/${k}`, widths[k]!, outputs, gain);
  });
}

/** Version 0 of a network. */
export function initialWeights(model: Model, seed: number): WeightsSnapshot {
  return { version: 0, tensors: model.parameters.map((spec) => initialTensor(spec, seed)) };
}
