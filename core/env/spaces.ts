/** Observation and action spaces, after Gymnasium's: what an environment takes and gives, as plain data. */

/** A box of reals; `low`/`high` hold one bound per element, in row-major order of `shape`. */
export interface BoxSpace {
  readonly kind: "box";
  readonly shape: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
}
/** Integers 0 … n−1. */
export interface DiscreteSpace {
  readonly kind: "discrete";
  readonly n: number;
}
/** One integer 0 … sizes[k]−1 for each k. */
export interface MultiDiscreteSpace {
  readonly kind: "multiDiscrete";
  readonly sizes: readonly number[];
}
export type Space = BoxSpace | DiscreteSpace | MultiDiscreteSpace;

function perElement(bound: number | readonly number[], size: number): readonly number[] {
  return typeof bound === "number" ? new Array<number>(size).fill(bound) : bound;
}

export function box(
  shape: readonly number[],
  low: number | readonly number[],
  high: number | readonly number[],
): BoxSpace {
  const size = shape.reduce((a, b) => a * b, 1);
  return { kind: "box", shape, low: perElement(low, size), high: perElement(high, size) };
}

export function discrete(n: number): DiscreteSpace {
  return { kind: "discrete", n };
}

export function multiDiscrete(sizes: readonly number[]): MultiDiscreteSpace {
  return { kind: "multiDiscrete", sizes };
}

/** Numbers that one element of the space takes in a record: discrete spaces hold the index itself. */
export function widthOf(space: Space): number {
  switch (space.kind) {
    case "box":
      return space.shape.reduce((a, b) => a * b, 1);
    case "discrete":
      return 1;
    case "multiDiscrete":
      return space.sizes.length;
  }
}

/** Alternatives of a discrete space, one part after the other: as many as a policy over it has logits; 0 for a box. */
export function choicesOf(space: Space): number {
  switch (space.kind) {
    case "box":
      return 0;
    case "discrete":
      return space.n;
    case "multiDiscrete":
      return space.sizes.reduce((a, b) => a + b, 0);
  }
}

/** `Box(4)`, `Discrete(2)`, `MultiDiscrete(32, 11, 2)`: for messages. */
export function describeSpace(space: Space): string {
  switch (space.kind) {
    case "box":
      return `Box(${space.shape.join("×")})`;
    case "discrete":
      return `Discrete(${space.n})`;
    case "multiDiscrete":
      return `MultiDiscrete(${space.sizes.join(", ")})`;
  }
}
