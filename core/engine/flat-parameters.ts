/** A network's parameters end to end in one array: how engines keep weights and moments. */
import { SkeinError } from "../errors.js";
import type { ParameterSpec } from "../model/model.js";
import type { NamedTensor } from "../types.js";
import type { OptimizerState } from "./engine.js";

export interface ParameterSlice {
  readonly name: string;
  readonly shape: readonly number[];
  readonly at: number;
  readonly size: number;
}

export class FlatParameters {
  readonly slices: readonly ParameterSlice[];
  /** P: numbers of all parameters. */
  readonly size: number;

  constructor(parameters: readonly Pick<ParameterSpec, "name" | "shape">[]) {
    let at = 0;
    this.slices = parameters.map(({ name, shape }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const slice = { name, shape, at, size };
      at += size;
      return slice;
    });
    this.size = at;
  }

  /** Copies tensors into `flat` [P]. Throws CHECKPOINT_MISMATCH where one is missing, unknown or of another shape. */
  fill(flat: Float32Array, tensors: readonly NamedTensor[], what: string): void {
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    for (const { name, shape } of this.slices) {
      const tensor = byName.get(name);
      if (tensor === undefined || tensor.shape.join("×") !== shape.join("×")) {
        throw new SkeinError(
          "CHECKPOINT_MISMATCH",
          `${what}: expected tensor "${name}" [${shape.join("×")}], got ` +
            (tensor === undefined ? "none of that name" : `[${tensor.shape.join("×")}]`) +
            "; the model or the environment differs from the one these weights were trained with",
        );
      }
    }
    if (byName.size !== this.slices.length) {
      const extra = [...byName.keys()].filter((name) => !this.slices.some((slice) => slice.name === name));
      throw new SkeinError(
        "CHECKPOINT_MISMATCH",
        `${what}: the model has no tensor named ${extra.join(", ")}`,
      );
    }
    for (const { name, at } of this.slices) flat.set(byName.get(name)!.data, at);
  }

  /** Copies of the slices of `flat` [P]. */
  tensors(flat: Float32Array, prefix = ""): NamedTensor[] {
    return this.slices.map(({ name, shape, at, size }) => ({
      name: `${prefix}${name}`,
      dtype: "float32",
      shape,
      data: flat.slice(at, at + size),
    }));
  }

  /** Adam's moments [P] as a checkpoint holds them. */
  optimizerState(steps: number, m: Float32Array, v: Float32Array): OptimizerState {
    return { steps, tensors: [...this.tensors(m, "m/"), ...this.tensors(v, "v/")] };
  }

  /** Throws CHECKPOINT_MISMATCH. */
  fillMoments(m: Float32Array, v: Float32Array, { tensors }: OptimizerState): void {
    const moments = (prefix: string): NamedTensor[] =>
      tensors
        .filter(({ name }) => name.startsWith(prefix))
        .map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) }));
    this.fill(m, moments("m/"), "optimiser state, first moments");
    this.fill(v, moments("v/"), "optimiser state, second moments");
  }
}
