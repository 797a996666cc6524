/** Random rollouts and batches for the tests of recipes, masks and every kind of row end included. */
import { Random } from "../../core/random.js";
import { assembleBatch, withColumns, type Batch } from "../../core/slots/batch.js";
import type { DeriveContext, Readings } from "../../core/slots/recipe.js";
import { StopReason, type Rollout } from "../../core/types.js";

export interface RolloutShape {
  readonly seat?: number;
  readonly rows?: number;
  readonly observationWidth?: number;
  /** 0 = discrete */
  readonly boxActions?: number;
  /** 0 = no action masks */
  readonly actionMaskWidth?: number;
  /** 0 = no memory */
  readonly stateWidth?: number;
  /** Share of masked steps. */
  readonly masked?: number;
}

/** What a derive knows beside the batch, with nothing in it but `readings`. */
export function contextOf(readings: Readings = {}): DeriveContext {
  return { readings, live: {}, random: new Random(1) };
}

/** Rows of 1 to 6 steps; each column drawn at random. */
export function randomRollout(random: Random, shape: RolloutShape = {}): Rollout {
  const { seat = 0, rows = 5, observationWidth = 3, boxActions = 0, masked = 0.2 } = shape;
  const { actionMaskWidth = 0, stateWidth = 0 } = shape;
  const offsets = new Uint32Array(rows + 1);
  for (let i = 0; i < rows; i++) offsets[i + 1] = offsets[i]! + 1 + random.integer(6);
  const steps = offsets[rows]!;
  const floats = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  const ends = Uint8Array.from({ length: rows }, () => random.integer(3));
  return {
    ...{ runId: "run", rolloutId: `run/seat-${seat}/1/0/1`, requestId: 1, actorId: "actor", seat },
    ...{ task: `seat-${seat}`, group: 1, member: 0, attempt: 1, collectSeconds: 0 },
    columns: {
      ...{ observationWidth, actionWidth: Math.max(1, boxActions), offsets },
      ...{ actionMaskWidth, stateWidth },
      actionMasks: Uint8Array.from({ length: steps * actionMaskWidth }, () => random.integer(2)),
      ...{ anchorIndices: new Uint32Array(0), anchorTexts: new Uint8Array(0) },
      postObservations: new Float32Array(0),
      initialStates: floats(rows * stateWidth),
      observations: floats(steps * observationWidth),
      actions:
        boxActions > 0
          ? floats(steps * boxActions)
          : Int32Array.from({ length: steps }, () => random.integer(9)),
      behaviorLogprobs: floats(steps).map((x) => -Math.abs(x)),
      rewards: floats(steps),
      mask: Uint8Array.from({ length: steps }, () => (random.uniform() < masked ? 0 : 1)),
      versionRunLengths: Uint32Array.of(steps),
      versionRunValues: Uint32Array.of(0),
      finalObservations: floats(rows * observationWidth),
      terminated: ends.map((end) => (end === StopReason.terminated ? 1 : 0)),
      truncated: ends.map((end) => (end === StopReason.truncated ? 1 : 0)),
      stopReasons: ends,
      trajectoryIds: Uint32Array.from({ length: rows }, (_, i) => i + 1),
      seeds: new Uint32Array(rows),
      stepExtras: {},
      rowCounters: {},
    },
  };
}

/** A batch of a few rollouts with the columns that a critic would add. */
export function randomBatch(random: Random, shape: RolloutShape = {}): Batch {
  const rollouts = [0, 1, 2].map((seat) => randomRollout(random, { ...shape, seat }));
  return withValues(assembleBatch(rollouts), random);
}

export function withValues(batch: Batch, random: Random): Batch {
  const normals = (length: number): Float64Array => Float64Array.from({ length }, () => random.normal());
  const rows = batch.offsets.length - 1;
  return withColumns(batch, {
    step: { values: normals(batch.inputs.steps) },
    row: { bootstrapValues: normals(rows) },
  });
}

export function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worstDifference = a.length === b.length ? 0 : Infinity;
  for (let k = 0; k < a.length; k++) {
    const difference = Math.abs(a[k]! - b[k]!);
    worstDifference = Math.max(worstDifference, Number.isNaN(difference) ? Infinity : difference);
  }
  return worstDifference;
}
